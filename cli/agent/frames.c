#include "frames.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "json_write.h"

enum { HEADER_SIZE = 4 };

/* Room for the descriptors of one message, aligned as the kernel wants it (cmsg(3)). */
union ancillary {
    struct cmsghdr header;
    char room[CMSG_SPACE(FRAME_FDS * sizeof(int))];
};

void connection_init(struct connection *connection, int socket)
{
    *connection = (struct connection){.socket = socket};
}

void connection_next(struct connection *connection)
{
    for (size_t i = 0; i < connection->fd_count; i++)
        close(connection->fds[i]);
    free(connection->payload);
    connection_init(connection, connection->socket);
}

/* Takes over the descriptors of a message; closes those beyond the third. True when all had room. */
static bool take_fds(struct connection *connection, struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (control == NULL || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
        return true;
    size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
        fits = connection->fd_count < FRAME_FDS;
        if (fits)
            connection->fds[connection->fd_count++] = fd;
        else
            close(fd);
    }
    return fits && (message->msg_flags & MSG_CTRUNC) == 0;
}

static enum arrival invalid(struct connection *connection, const char *problem)
{
    connection->problem = problem;
    return ARRIVAL_INVALID;
}

static enum arrival receive_piece(struct connection *connection, void *room, size_t size)
{
    union ancillary control;
    struct iovec piece = {.iov_base = room, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(connection->socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? ARRIVAL_MORE : ARRIVAL_CLOSED;
    if (!take_fds(connection, &message))
        return invalid(connection, "more than three descriptors came with a message");
    if (count == 0)
        return connection->received == 0 ? ARRIVAL_CLOSED
                                         : invalid(connection, "it ended within a message");
    connection->received += (size_t)count;
    return ARRIVAL_FRAME; /* there may be more to read */
}

/* The header is there: makes room for the payload. */
static enum arrival begin_payload(struct connection *connection)
{
    const unsigned char *header = connection->header;
    connection->size = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
    if (connection->size > FRAME_LIMIT)
        return invalid(connection, "a message is larger than 8 MiB");
    connection->payload = malloc(connection->size + 1);
    return connection->payload == NULL ? invalid(connection, "there is no memory for it") : ARRIVAL_FRAME;
}

enum arrival connection_receive(struct connection *connection)
{
    enum arrival arrival = ARRIVAL_FRAME;
    while (arrival == ARRIVAL_FRAME && connection->received < HEADER_SIZE)
        arrival = receive_piece(connection, connection->header + connection->received,
                                HEADER_SIZE - connection->received);
    if (arrival == ARRIVAL_FRAME && connection->payload == NULL)
        arrival = begin_payload(connection);
    while (arrival == ARRIVAL_FRAME && connection->received < HEADER_SIZE + connection->size) {
        size_t got = connection->received - HEADER_SIZE;
        arrival = receive_piece(connection, connection->payload + got, connection->size - got);
    }
    return arrival;
}

static long long now_in_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum arrival connection_wait(struct connection *connection, int seconds)
{
    struct pollfd ready = {.fd = connection->socket, .events = POLLIN};
    long long deadline = now_in_milliseconds() + seconds * 1000LL;
    for (;;) {
        enum arrival arrival = connection_receive(connection);
        if (arrival != ARRIVAL_MORE)
            return arrival;
        long long left = deadline - now_in_milliseconds();
        if (seconds != FOREVER && left <= 0)
            return invalid(connection, "it takes too long");
        poll(&ready, 1, seconds == FOREVER ? -1 : (int)left);
    }
}

bool connection_object(struct connection *connection, struct json *object)
{
    if (json_check(connection->payload, connection->size, object))
        return true;
    connection->problem = "a message is not a JSON object in UTF-8, at most 32 levels deep";
    return false;
}

static ssize_t send_piece(int socket, const char *bytes, size_t size, const int *fds, size_t fd_count)
{
    union ancillary control;
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = (socklen_t)CMSG_SPACE(fd_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = (socklen_t)CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

bool send_with_fds(int socket, const char *bytes, size_t size, const int *fds, size_t fd_count)
{
    while (size > 0) {
        ssize_t count = send_piece(socket, bytes, size, fds, fd_count);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        bytes += count;
        size -= (size_t)count;
        fd_count = 0;
    }
    return true;
}

void frame_begin(struct buffer *frame, const char *action)
{
    buffer_init(frame, HEADER_SIZE + FRAME_LIMIT);
    buffer_add(frame, (const char[HEADER_SIZE]){0}, HEADER_SIZE);
    buffer_add_string(frame, "{\"action\":");
    json_add_string(frame, action);
}

bool frame_send(struct buffer *frame, int socket, const int *fds, size_t fd_count)
{
    bool sent = false;
    buffer_add_string(frame, "}");
    int error = frame->error;
    if (error == 0) {
        size_t size = frame->size - HEADER_SIZE;
        for (int i = 0; i < HEADER_SIZE; i++)
            frame->data[i] = (char)(size >> 8 * (HEADER_SIZE - 1 - i));
        sent = send_with_fds(socket, frame->data, frame->size, fds, fd_count);
        error = errno;
    }
    buffer_free(frame);
    errno = error;
    return sent;
}

int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}
