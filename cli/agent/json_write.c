#include "json_write.h"

#include <stdio.h>
#include <string.h>

/* The length of the text at `at` that can stand as it is; 0 when its first byte must be escaped. */
static size_t plain_length(const char *at, size_t left)
{
    unsigned char byte = (unsigned char)*at;
    if (byte < 0x20 || byte == '"' || byte == '\\')
        return 0;
    return byte < 0x80 ? 1 : utf8_length(at, left);
}

static void add_escaped_byte(struct buffer *buffer, char character)
{
    unsigned char byte = (unsigned char)character;
    if (byte == '"' || byte == '\\') {
        buffer_add(buffer, (const char[]){'\\', character}, 2);
        return;
    }
    char escape[8];
    int length = snprintf(escape, sizeof escape, "\\u%04x", byte < 0x80 ? byte : 0xDC00U + byte);
    buffer_add(buffer, escape, (size_t)length);
}

void json_add_text(struct buffer *buffer, const char *bytes, size_t length)
{
    const char *end = bytes + length, *plain = bytes, *at = bytes;
    buffer_add(buffer, "\"", 1);
    while (at < end) {
        size_t step = plain_length(at, (size_t)(end - at));
        if (step == 0) {
            buffer_add(buffer, plain, (size_t)(at - plain));
            add_escaped_byte(buffer, *at++);
            plain = at;
        }
        at += step;
    }
    buffer_add(buffer, plain, (size_t)(end - plain));
    buffer_add(buffer, "\"", 1);
}

void json_add_string(struct buffer *buffer, const char *string)
{
    json_add_text(buffer, string, strlen(string));
}

void json_add_number(struct buffer *buffer, long number)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%ld", number);
    buffer_add(buffer, digits, (size_t)length);
}

void json_add_list(struct buffer *buffer, char *const *strings)
{
    buffer_add(buffer, "[", 1);
    for (char *const *each = strings; *each != NULL; each++) {
        if (each != strings)
            buffer_add(buffer, ",", 1);
        json_add_string(buffer, *each);
    }
    buffer_add(buffer, "]", 1);
}

void json_add_environment(struct buffer *buffer, char *const *environment)
{
    bool first = true;
    buffer_add(buffer, "{", 1);
    for (char *const *each = environment; *each != NULL; each++) {
        const char *equals = strchr(*each, '=');
        if (equals == NULL || equals == *each)
            continue;
        if (!first)
            buffer_add(buffer, ",", 1);
        first = false;
        json_add_text(buffer, *each, (size_t)(equals - *each));
        buffer_add(buffer, ":", 1);
        json_add_string(buffer, equals + 1);
    }
    buffer_add(buffer, "}", 1);
}
