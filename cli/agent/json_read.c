#include "json_read.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Each `skip_...` takes a place in the document and returns the place after what it is named for,
 * or NULL when that does not stand there. Places are never read at or beyond `end`. */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static const char *skip_byte(const char *at, const char *end, char byte)
{
    return at != NULL && at < end && *at == byte ? at + 1 : NULL;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - at) >= length && memcmp(at, word, length) == 0 ? at + length : NULL;
}

static const char *skip_digits(const char *at, const char *end)
{
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > first ? at : NULL;
}

static const char *skip_exponent(const char *at, const char *end)
{
    at++;
    if (at < end && (*at == '+' || *at == '-'))
        at++;
    return skip_digits(at, end);
}

static const char *skip_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    at = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
    if (at != NULL && at < end && *at == '.')
        at = skip_digits(at + 1, end);
    if (at != NULL && at < end && (*at == 'e' || *at == 'E'))
        at = skip_exponent(at, end);
    return at;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* The code unit of the \uXXXX at `at`, or -1. */
static long code_unit(const char *at, const char *end)
{
    long unit = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* A piece of a text: at most one character, as bytes. */
struct piece {
    char bytes[4];
    size_t size;
};

static struct piece encode_utf8(unsigned long code_point)
{
    unsigned c = (unsigned)code_point;
    if (c < 0x80)
        return (struct piece){{(char)c}, 1};
    char last = (char)(0x80U | (c & 0x3FU));
    if (c < 0x800)
        return (struct piece){{(char)(0xC0U | c >> 6), last}, 2};
    char third = (char)(0x80U | (c >> 6 & 0x3FU));
    if (c < 0x10000)
        return (struct piece){{(char)(0xE0U | c >> 12), third, last}, 3};
    return (struct piece){{(char)(0xF0U | c >> 18), (char)(0x80U | (c >> 12 & 0x3FU)), third, last}, 4};
}

static const char *skip_code_units(const char *at, const char *end, struct piece *piece)
{
    long unit = code_unit(at, end);
    if (unit < 0)
        return NULL;
    if (unit < 0xD800 || unit > 0xDFFF) {
        *piece = encode_utf8((unsigned long)unit);
        return at + 6;
    }
    if (unit >= 0xDC80 && unit <= 0xDCFF) { /* a byte that was not UTF-8 */
        *piece = (struct piece){{(char)(unit - 0xDC00)}, 1};
        return at + 6;
    }
    long low = code_unit(at + 6, end);
    if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
        return NULL;
    *piece = encode_utf8(0x10000UL + ((unsigned long)(unit - 0xD800) << 10) + (unsigned long)(low - 0xDC00));
    return at + 12;
}

static const char *skip_escape(const char *at, const char *end, struct piece *piece)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (end - at < 2)
        return NULL;
    if (at[1] == 'u')
        return skip_code_units(at, end, piece);
    const char *name = memchr(names, at[1], sizeof names - 1);
    if (name == NULL)
        return NULL;
    *piece = (struct piece){{meanings[name - names]}, 1};
    return at + 2;
}

/* One character within a text; `piece` gets its bytes. */
static const char *skip_character(const char *at, const char *end, struct piece *piece)
{
    if (at >= end || (unsigned char)*at < 0x20)
        return NULL;
    if (*at == '\\')
        return skip_escape(at, end, piece);
    size_t length = utf8_length(at, (size_t)(end - at));
    if (length == 0)
        return NULL;
    memcpy(piece->bytes, at, length);
    piece->size = length;
    return at + length;
}

static const char *skip_text(const char *at, const char *end)
{
    struct piece ignored;
    at = skip_byte(at, end, '"');
    while (at != NULL && at < end && *at != '"')
        at = skip_character(at, end, &ignored);
    return skip_byte(at, end, '"');
}

static const char *skip_value(const char *at, const char *end, int depth);

static const char *skip_key(const char *at, const char *end)
{
    at = skip_text(skip_space(at, end), end);
    return at == NULL ? NULL : skip_byte(skip_space(at, end), end, ':');
}

/* A list or an object, from its opening bracket on. */
static const char *skip_container(const char *at, const char *end, int depth)
{
    bool object = *at == '{';
    char close = object ? '}' : ']';
    const char *inner = skip_space(at + 1, end);
    if (depth >= JSON_DEPTH)
        return NULL;
    if (inner < end && *inner == close)
        return inner + 1;
    for (at = at + 1;; at++) {
        at = object ? skip_key(at, end) : at;
        at = at == NULL ? NULL : skip_value(skip_space(at, end), end, depth + 1);
        if (at == NULL)
            return NULL;
        at = skip_space(at, end);
        if (at < end && *at == close)
            return at + 1;
        if (at >= end || *at != ',')
            return NULL;
    }
}

static const char *skip_value(const char *at, const char *end, int depth)
{
    if (at >= end)
        return NULL;
    switch (*at) {
    case '{':
    case '[':
        return skip_container(at, end, depth);
    case '"':
        return skip_text(at, end);
    case 't':
        return skip_word(at, end, "true");
    case 'f':
        return skip_word(at, end, "false");
    case 'n':
        return skip_word(at, end, "null");
    default:
        return skip_number(at, end);
    }
}

bool json_check(const char *data, size_t size, struct json *object)
{
    const char *end = data + size, *at = skip_space(data, end);
    const char *after = skip_value(at, end, 0);
    if (after == NULL || skip_space(after, end) != end || *at != '{')
        return false;
    *object = (struct json){at, after};
    return true;
}

/* Within a list or an object: the place of the next entry, or NULL. `at` is at an opening bracket, a
 * comma, a closing bracket or space. */
static const char *entry(const char *at, const char *end)
{
    at = skip_space(at, end);
    if (at >= end || *at == ']' || *at == '}')
        return NULL;
    at = skip_space(at + 1, end);
    return at < end && *at != ']' && *at != '}' ? at : NULL;
}

bool json_next_item(struct json *rest, struct json *item)
{
    const char *at = entry(rest->at, rest->end);
    const char *after = at == NULL ? NULL : skip_value(at, rest->end, 0);
    if (after == NULL)
        return false;
    *item = (struct json){at, after};
    rest->at = after;
    return true;
}

bool json_next_member(struct json *rest, struct json *key, struct json *value)
{
    const char *at = entry(rest->at, rest->end);
    const char *colon = at == NULL ? NULL : skip_key(at, rest->end);
    if (colon == NULL)
        return false;
    *key = (struct json){at, skip_text(at, rest->end)};
    const char *begin = skip_space(colon, rest->end), *after = skip_value(begin, rest->end, 0);
    if (after == NULL)
        return false;
    *value = (struct json){begin, after};
    rest->at = after;
    return true;
}

static bool text_equals(struct json text, const char *string)
{
    struct piece piece;
    const char *at = text.at + 1;
    while (at < text.end && *at != '"') {
        at = skip_character(at, text.end, &piece);
        if (at == NULL || strlen(string) < piece.size || memcmp(string, piece.bytes, piece.size) != 0)
            return false;
        string += piece.size;
    }
    return *string == '\0';
}

bool json_member(struct json object, const char *key, struct json *value)
{
    struct json name, candidate;
    bool found = false;
    while (json_next_member(&object, &name, &candidate)) {
        if (text_equals(name, key)) {
            *value = candidate;
            found = true;
        }
    }
    return found;
}

bool json_is_null(struct json value)
{
    return *value.at == 'n';
}

bool json_is_true(struct json value)
{
    return *value.at == 't';
}

bool json_is_text(struct json value)
{
    return *value.at == '"';
}

bool json_is_list(struct json value)
{
    return *value.at == '[';
}

bool json_is_object(struct json value)
{
    return *value.at == '{';
}

bool json_integer(struct json value, long least, long most, long *number)
{
    const char *at = value.at;
    bool negative = *at == '-';
    long sum = 0;
    at += negative ? 1 : 0;
    if (at >= value.end || value.end - at > 10)
        return false;
    for (; at < value.end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        sum = sum * 10 + (*at - '0');
    }
    sum = negative ? -sum : sum;
    if (sum < least || sum > most)
        return false;
    *number = sum;
    return true;
}

char *json_text(struct json value, size_t *size)
{
    struct piece piece;
    size_t length = 0;
    /* No escape is shorter than the bytes that it stands for. */
    char *bytes = json_is_text(value) ? malloc((size_t)(value.end - value.at)) : NULL;
    if (bytes == NULL)
        return NULL;
    for (const char *at = value.at + 1; at < value.end && *at != '"'; length += piece.size) {
        at = skip_character(at, value.end, &piece);
        if (at == NULL)
            break;
        memcpy(bytes + length, piece.bytes, piece.size);
    }
    bytes[length] = '\0';
    if (size != NULL) {
        *size = length;
    } else if (strlen(bytes) != length) {
        free(bytes);
        return NULL;
    }
    return bytes;
}
