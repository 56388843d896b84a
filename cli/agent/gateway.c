#include "gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "text.h"

enum { FAILED = 1, LONGEST_HEAD = 16 * 1024, PIECE = 128 * 1024, TRIES = 50, PAUSE = 100 /* ms */ };

static const char hint[] = "Use git itself; see which remotes can be used with: git remote -v";

/* ADDRESS:PORT, in numbers. */
static bool parse_address(const char *text, struct sockaddr_in *address)
{
    char host[INET_ADDRSTRLEN], *end = NULL;
    const char *colon = text == NULL ? NULL : strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    long port = strtol(colon + 1, &end, 10);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return *end == '\0' && port > 0 && port <= USHRT_MAX && inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

/* A new connection, or -1 with errno. */
static int connected(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* A gateway that is just being started, again perhaps, listens in a moment. */
static int dial(void)
{
    struct sockaddr_in address;
    if (!parse_address(getenv("CLAUDE_CONTAINER_STREAM"), &address))
        return complain(-1, hint, "there is no gateway to connect to");
    int fd = -1;
    for (int tries = 0; fd < 0 && tries < TRIES; tries++) {
        if (tries > 0)
            poll(NULL, 0, PAUSE);
        fd = connected(&address);
        if (fd < 0 && errno != ECONNREFUSED)
            break;
    }
    if (fd < 0) {
        complain(0, "Try again in a moment; the operator sees why with: claude-container status",
                 "the gateway cannot be reached: %s", strerror(errno));
        return -1;
    }
    return fd;
}

int await_gateway(void)
{
    int fd = dial();
    if (fd < 0)
        return FAILED;
    close(fd);
    return 0;
}

/* The last part of the gateway's base URL. */
static const char *capability(void)
{
    const char *base = getenv("CLAUDE_CONTAINER_GATEWAY");
    const char *slash = base == NULL ? NULL : strrchr(base, '/');
    return slash == NULL ? "-" : slash + 1;
}

/* Takes `.` and `..` and empty parts out of a path, in place, by its text alone. */
static void normalise(char *path)
{
    char *out = path;
    for (const char *part = path; *part != '\0';) {
        size_t length = strcspn(part, "/");
        bool up = length == 2 && part[0] == '.' && part[1] == '.';
        if (up) {
            while (out > path && *--out != '/')
                continue;
        } else if (length > 0 && !(length == 1 && *part == '.')) {
            if (out > path)
                *out++ = '/';
            memmove(out, part, length);
            out += length;
        }
        part += length;
        part += *part == '/';
    }
    *out = '\0';
}

static bool say_what(int fd, const char *service, const char *scheme, const char *rest)
{
    const char *command = getenv("CLAUDE_CONTAINER_COMMAND");
    struct buffer head;
    char *path = strdup(rest);
    buffer_init(&head, LONGEST_HEAD);
    if (path == NULL)
        return false;
    if (strcmp(scheme, "file") == 0)
        normalise(path);
    const char *const words[] = {capability(), " ", command == NULL || *command == '\0' ? "-" : command,
                                 " ", service, " ", scheme, " ", path};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        buffer_add_string(&head, words[i]);
    bool fits = head.error == 0 && memchr(head.data, '\n', head.size) == NULL;
    buffer_add_string(&head, "\n");
    if (fits)
        write_whole(fd, head.data, head.size);
    free(path);
    buffer_free(&head);
    return fits;
}

/* Carries what is there from one to the other. False at the end, and when the other is gone. */
static bool carry(int from, int to)
{
    static char piece[PIECE];
    ssize_t got = read(from, piece, sizeof piece);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (got <= 0)
        return false;
    for (ssize_t done = 0; done < got;) {
        ssize_t put = send(to, piece + done, (size_t)(got - done), MSG_NOSIGNAL);
        if (put < 0 && errno == ENOTSOCK)
            put = write(to, piece + done, (size_t)(got - done));
        if (put < 0 && errno != EINTR)
            return false;
        done += put > 0 ? put : 0;
    }
    return true;
}

static void relay(int gateway)
{
    struct pollfd ends[] = {{.fd = gateway, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    for (;;) {
        if (poll(ends, 2, -1) < 0 && errno != EINTR)
            return;
        if (ends[0].revents != 0 && !carry(gateway, STDOUT_FILENO))
            return;
        if (ends[1].revents != 0 && !carry(STDIN_FILENO, gateway)) {
            shutdown(gateway, SHUT_WR);
            ends[1].fd = -1;
            ends[1].revents = 0;
        }
    }
}

int connect_to_gateway(const char *service, const char *scheme, const char *rest)
{
    int fd = dial();
    if (fd < 0)
        return FAILED;
    if (!say_what(fd, service, scheme, rest)) {
        close(fd);
        return complain(FAILED, hint, "the name of this remote cannot be passed on");
    }
    relay(fd);
    close(fd);
    return 0;
}
