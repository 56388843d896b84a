/* Bytes and text: a buffer that grows up to a limit, UTF-8, writing to a descriptor, messages for people. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Grows as needed. The first failure stays in `error` (E2BIG beyond the limit, ENOMEM), so that a
 * message can be put together without looking after each piece. */
struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    size_t limit;
    int error;
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_add(struct buffer *buffer, const char *bytes, size_t length);
void buffer_add_string(struct buffer *buffer, const char *string);
void buffer_free(struct buffer *buffer);

/* The length of the UTF-8 character at `bytes` (RFC 3629: no surrogates, nothing overlong), or 0. */
size_t utf8_length(const char *bytes, size_t left);

/* Reads `fd` to its end into the buffer. False, with errno set, on failure (E2BIG, ENOMEM included). */
bool read_whole(int fd, struct buffer *buffer);

/* Writes all of it, also to a descriptor that does not block. What cannot be written is lost. */
void write_whole(int fd, const char *bytes, size_t length);

/* Prints "error: ..." and "hint: ..." (when not NULL) on stderr, in one piece. Returns `status`. */
int complain(int status, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
