#include "query.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frames.h"
#include "response.h"
#include "session.h"

enum { PATIENCE = 5 }; /* seconds for an answer */

static enum arrival converse(struct connection *connection, const char *action)
{
    struct buffer frame;
    frame_begin(&frame, action);
    if (!frame_send(&frame, connection->socket, NULL, 0) && errno != EPIPE && errno != ECONNRESET)
        return ARRIVAL_CLOSED;
    return connection_wait(connection, PATIENCE);
}

static int print_answer(struct connection *connection, enum arrival arrival, const char *tool)
{
    struct json frame;
    struct response response = {0};
    if (arrival != ARRIVAL_FRAME || !connection_object(connection, &frame))
        return complain_broken(STATUS_BROKEN, tool, arrival == ARRIVAL_CLOSED ? NULL : connection->problem);
    const char *problem = response_read(frame, &response);
    int status = (int)response.exit_code;
    if (problem == NULL)
        response_print(&response);
    else
        status = complain_broken(STATUS_BROKEN, tool, problem);
    response_free(&response);
    return status;
}

int ask_plugin(const char *tool, const char *path, const char *action)
{
    struct connection connection;
    int socket = connect_to(path);
    if (socket < 0)
        return complain_missing(tool, path, errno);
    connection_init(&connection, socket);
    enum arrival arrival = converse(&connection, action);
    int status = print_answer(&connection, arrival, tool);
    connection_next(&connection);
    close(socket);
    return status;
}

static bool answers(const char *path)
{
    struct connection connection;
    struct json answer;
    int socket = connect_to(path);
    if (socket < 0)
        return false;
    connection_init(&connection, socket);
    bool fine = converse(&connection, "health") == ARRIVAL_FRAME && connection_object(&connection, &answer);
    connection_next(&connection);
    close(socket);
    return fine;
}

static int is_socket_name(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".sock") == 0;
}

int list_plugins(const char *directory)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_socket_name, alphasort);
    if (count < 0)
        return complain(1, "Set PLUGIN_SOCKET_DIR to the directory of the plugins' sockets.",
                        "cannot list %s: %s", directory, strerror(errno));
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        const char *name = entries[i]->d_name;
        if (asprintf(&path, "%s/%s", directory, name) >= 0 && answers(path))
            printf("%.*s\n", (int)strlen(name) - 5, name);
        free(path);
        free(entries[i]);
    }
    free(entries);
    return fflush(stdout) == 0 ? 0 : 1;
}
