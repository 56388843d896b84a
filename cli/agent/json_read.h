/* Reading JSON that nobody vouches for: strict (RFC 8259), at most JSON_DEPTH deep, no memory but for
 * the text that is asked for. A value is the piece of the document it stands in; there is no tree. */
#ifndef JSON_READ_H
#define JSON_READ_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH = 32 };

struct json {
    const char *at;
    const char *end;
};

/* Checks the whole document, which must be an object. Every function below wants values of a checked one. */
bool json_check(const char *data, size_t size, struct json *object);

/* The member `key` of an object, the last one when there are several. False when there is none. */
bool json_member(struct json object, const char *key, struct json *value);

bool json_is_null(struct json value);
bool json_is_true(struct json value);
bool json_is_text(struct json value);
bool json_is_list(struct json value);
bool json_is_object(struct json value);

/* A whole number between the bounds. False for anything else. */
bool json_integer(struct json value, long least, long most, long *number);

/* The bytes of a text, \udcXX escapes turned back into bytes, with a NUL after them. The caller frees.
 * NULL when it is no text, or there is no memory. `size` may be NULL: a text with a NUL in it is none then. */
char *json_text(struct json value, size_t *size);

/* Steps through a list or an object: set `rest` to the value, then call until it returns false. */
bool json_next_item(struct json *rest, struct json *item);
bool json_next_member(struct json *rest, struct json *key, struct json *value);

#endif
