/* Frames over Unix sockets: a 4-byte big-endian length and that much JSON; descriptors come with the
 * first byte. See "Frames" in docs/architecture.md. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "json_read.h"
#include "text.h"

enum { FRAME_LIMIT = 8 * 1024 * 1024, FRAME_FDS = 3, FOREVER = -1 };

enum arrival {
    ARRIVAL_MORE,    /* nothing whole yet: wait until there is more to read */
    ARRIVAL_FRAME,   /* a whole frame: see `payload`, `fds` */
    ARRIVAL_CLOSED,  /* the peer closed between two frames, or is gone */
    ARRIVAL_INVALID, /* not the protocol; `problem` says why */
};

/* One end of a conversation, and the frame that is just arriving there. */
struct connection {
    int socket;
    unsigned char header[4];
    size_t received; /* of header and payload together */
    char *payload;
    size_t size;
    int fds[FRAME_FDS];
    size_t fd_count;
    const char *problem;
};

void connection_init(struct connection *connection, int socket);

/* Reads what is there, never beyond the frame, and never waits. A frame stays until `connection_next`. */
enum arrival connection_receive(struct connection *connection);

/* As above, but waits for a whole frame, at most so many seconds (FOREVER: without end). */
enum arrival connection_wait(struct connection *connection, int seconds);

/* The frame's JSON object. False, with `problem` set, when it is not one. */
bool connection_object(struct connection *connection, struct json *object);

/* Drops the frame, and closes its descriptors. */
void connection_next(struct connection *connection);

/* Sending: begin a frame with its action, add members (each with a comma before it), then send. */
void frame_begin(struct buffer *frame, const char *action);

/* Ends the frame, sends it with descriptors, and frees it. False, with errno set, on failure (E2BIG: it
 * is too large). */
bool frame_send(struct buffer *frame, int socket, const int *fds, size_t fd_count);

/* Sends bytes, descriptors with the first one. False, with errno set, on failure. */
bool send_with_fds(int socket, const char *bytes, size_t size, const int *fds, size_t fd_count);

/* Connects to the Unix socket. Returns the descriptor, or -1 with errno set. */
int connect_to(const char *path);

#endif
