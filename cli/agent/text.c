#include "text.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){.limit = limit};
}

static bool make_room(struct buffer *buffer, size_t length)
{
    if (buffer->error != 0)
        return false;
    if (length > buffer->limit - buffer->size) {
        buffer->error = E2BIG;
        return false;
    }
    size_t wanted = buffer->size + length;
    if (wanted <= buffer->capacity)
        return true;
    size_t capacity = buffer->capacity * 2 > 4096 ? buffer->capacity * 2 : 4096;
    capacity = capacity > wanted ? capacity : wanted;
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->error = ENOMEM;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_add(struct buffer *buffer, const char *bytes, size_t length)
{
    if (length == 0 || !make_room(buffer, length))
        return;
    memcpy(buffer->data + buffer->size, bytes, length);
    buffer->size += length;
}

void buffer_add_string(struct buffer *buffer, const char *string)
{
    buffer_add(buffer, string, strlen(string));
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    buffer_init(buffer, buffer->limit);
}

static bool continuation(unsigned char byte)
{
    return (byte & 0xC0U) == 0x80U;
}

size_t utf8_length(const char *bytes, size_t left)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (left == 0)
        return 0;
    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xC2 && at[0] <= 0xDF)
        return left >= 2 && continuation(at[1]) ? 2 : 0;
    /* The second byte's range keeps out overlong forms, surrogates and what is beyond U+10FFFF. */
    if (at[0] >= 0xE0 && at[0] <= 0xEF) {
        unsigned char least = at[0] == 0xE0 ? 0xA0 : 0x80, most = at[0] == 0xED ? 0x9F : 0xBF;
        return left >= 3 && at[1] >= least && at[1] <= most && continuation(at[2]) ? 3 : 0;
    }
    if (at[0] >= 0xF0 && at[0] <= 0xF4) {
        unsigned char least = at[0] == 0xF0 ? 0x90 : 0x80, most = at[0] == 0xF4 ? 0x8F : 0xBF;
        return left >= 4 && at[1] >= least && at[1] <= most && continuation(at[2]) && continuation(at[3]) ? 4
                                                                                                          : 0;
    }
    return 0;
}

static bool wait_for(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};
    return poll(&ready, 1, -1) >= 0 || errno == EINTR;
}

bool read_whole(int fd, struct buffer *buffer)
{
    char piece[16384];
    for (;;) {
        ssize_t count = read(fd, piece, sizeof piece);
        if (count == 0)
            return true;
        if (count > 0) {
            buffer_add(buffer, piece, (size_t)count);
            if (buffer->error != 0) {
                errno = buffer->error;
                return false;
            }
        } else if (errno == EAGAIN) {
            if (!wait_for(fd, POLLIN))
                return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
}

void write_whole(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = write(fd, bytes, length);
        if (count >= 0) {
            bytes += count;
            length -= (size_t)count;
        } else if (errno == EAGAIN) {
            if (!wait_for(fd, POLLOUT))
                return;
        } else if (errno != EINTR) {
            return;
        }
    }
}

int complain(int status, const char *hint, const char *format, ...)
{
    char message[2048] = "error: ";
    size_t length = strlen(message);
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(message + length, sizeof message - length, format, arguments);
    va_end(arguments);
    if (written > 0)
        length = strlen(message);
    struct buffer text;
    buffer_init(&text, sizeof message * 2);
    buffer_add(&text, message, length);
    if (hint != NULL) {
        buffer_add_string(&text, "\nhint: ");
        buffer_add_string(&text, hint);
    }
    buffer_add_string(&text, "\n");
    write_whole(STDERR_FILENO, text.data, text.size);
    buffer_free(&text);
    return status;
}
