/* Writing JSON. Bytes that are not UTF-8 become \udcXX escapes, one for each byte, as Python's
 * surrogateescape (PEP 383) has them; the plugin turns them back into the same bytes. */
#ifndef JSON_WRITE_H
#define JSON_WRITE_H

#include "text.h"

void json_add_text(struct buffer *buffer, const char *bytes, size_t length);
void json_add_string(struct buffer *buffer, const char *string);
void json_add_number(struct buffer *buffer, long number);

/* A NULL-terminated list, as an array. */
void json_add_list(struct buffer *buffer, char *const *strings);

/* "NAME=value" strings, as an object; what has no name is left out. */
void json_add_environment(struct buffer *buffer, char *const *environment);

#endif
