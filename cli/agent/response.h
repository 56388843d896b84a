/* The last frame of a conversation: what to print, and how to end. */
#ifndef RESPONSE_H
#define RESPONSE_H

#include "json_read.h"

struct response {
    long exit_code; /* 0 to 255 */
    long signum;    /* that ended the tool, or 0 */
    char *out;
    char *err;
    size_t out_size;
    size_t err_size;
};

/* Reads it. Returns NULL, or what is wrong with it. To be freed in both cases. */
const char *response_read(struct json object, struct response *response);

/* Writes its texts to the descriptors 1 and 2. */
void response_print(const struct response *response);

void response_free(struct response *response);

#endif
