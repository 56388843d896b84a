#include "shim.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call.h"
#include "frames.h"
#include "json_write.h"

enum { FAILED = 1, STDIN_LIMIT = 4 * 1024 * 1024 };

static const char variable[] = "CLAUDE_CONTAINER_CHANNEL";

/* Hooks with something on their standard input: by githooks(5), and by the scripts that call us. */
static const char *const reading_hooks[] = {
    "pre-push",     "pre-receive",           "post-receive", "proc-receive",
    "post-rewrite", "reference-transaction", "commit-msg",   "applypatch-msg",
};

static bool reads_stdin(const char *hook)
{
    for (size_t i = 0; i < sizeof reading_hooks / sizeof *reading_hooks; i++)
        if (strcmp(hook, reading_hooks[i]) == 0)
            return true;
    return false;
}

/* The channel's descriptor, or -1 when there is no channel. */
static int find_channel(void)
{
    const char *text = getenv(variable);
    char *end = NULL;
    int type = 0;
    socklen_t size = sizeof type;
    if (text == NULL || *text < '0' || *text > '9')
        return -1;
    long fd = strtol(text, &end, 10);
    if (*end != '\0' || fd <= STDERR_FILENO || fd > INT_MAX)
        return -1;
    bool found = getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
    return found ? (int)fd : -1;
}

/* A conversation with the plugin: our end of it, or -1 after a message. */
static int open_conversation(void)
{
    int channel = find_channel(), ends[2];
    if (channel < 0) {
        complain(0, "This is for what a plugin has started; call the tool itself.",
                 "there is no plugin to talk to (%s)", variable);
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        complain(0, NULL, "cannot make a connection to the plugin: %s", strerror(errno));
        return -1;
    }
    bool sent = send_with_fds(channel, "c", 1, &ends[1], 1);
    if (!sent) {
        complain(0, NULL, "the plugin is gone: %s", strerror(errno));
        close(ends[0]);
    }
    close(ends[1]);
    return sent ? ends[0] : -1;
}

/* Prints what the answer says and returns its exit code. */
static int take_answer(struct connection *connection)
{
    struct json answer, member;
    long exit_code = 0;
    size_t size = 0;
    if (!connection_object(connection, &answer))
        return complain(FAILED, NULL, "the plugin's answer makes no sense: %s", connection->problem);
    if (!json_member(answer, "exit_code", &member) || !json_integer(member, 0, 255, &exit_code))
        return complain(FAILED, NULL, "the plugin's answer has no exit code from 0 to 255");
    if (!json_member(answer, "stderr", &member) || json_is_null(member))
        return (int)exit_code;
    char *text = json_text(member, &size);
    if (text == NULL)
        return complain(FAILED, NULL, "the plugin's answer holds a message that is not text");
    write_whole(STDERR_FILENO, text, size);
    free(text);
    return (int)exit_code;
}

static int wait_for_answer(int socket)
{
    struct connection connection;
    int status = FAILED;
    connection_init(&connection, socket);
    enum arrival arrival = connection_wait(&connection, FOREVER);
    if (arrival == ARRIVAL_FRAME)
        status = take_answer(&connection);
    else if (arrival == ARRIVAL_CLOSED)
        complain(0, NULL, "the plugin closed the connection before answering");
    else
        complain(0, NULL, "the plugin's answer makes no sense: %s", connection.problem);
    connection_next(&connection);
    return status;
}

static int converse(struct buffer *frame, const int *fds, size_t fd_count)
{
    int status = FAILED, socket = open_conversation();
    if (socket < 0) {
        buffer_free(frame);
        return FAILED;
    }
    if (frame_send(frame, socket, fds, fd_count))
        status = wait_for_answer(socket);
    else
        complain(0, NULL, "cannot ask the plugin: %s", strerror(errno));
    close(socket);
    return status;
}

static bool add_stdin(struct buffer *frame, const char *hook)
{
    struct buffer input;
    buffer_init(&input, STDIN_LIMIT);
    bool read = !reads_stdin(hook) || read_whole(STDIN_FILENO, &input);
    if (read) {
        buffer_add_string(frame, ",\"stdin\":");
        json_add_text(frame, input.size > 0 ? input.data : "", input.size);
    } else if (errno == E2BIG) {
        complain(0, "Do it in smaller steps.", "the %s hook got more than 4 MiB to read", hook);
    } else {
        complain(0, NULL, "the %s hook cannot read its standard input: %s", hook, strerror(errno));
    }
    buffer_free(&input);
    return read;
}

int ask_about_hook(char *const *args)
{
    struct buffer frame;
    frame_begin(&frame, "hook");
    buffer_add_string(&frame, ",\"name\":");
    json_add_string(&frame, args[0]);
    if (add_call(&frame, args + 1) && add_stdin(&frame, args[0]))
        return converse(&frame, NULL, 0);
    buffer_free(&frame);
    return FAILED;
}

int run_for_agent(char *const *args)
{
    static const int standard[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    struct buffer frame;
    frame_begin(&frame, "run");
    if (add_call(&frame, args))
        return converse(&frame, standard, 3);
    buffer_free(&frame);
    return FAILED;
}
