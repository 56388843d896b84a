#include "response.h"

#include <stdlib.h>
#include <unistd.h>

#include "text.h"

/* A member that may be absent or null. False when it is not text. */
static bool optional_text(struct json object, const char *key, char **text, size_t *size)
{
    struct json value;
    if (!json_member(object, key, &value) || json_is_null(value))
        return true;
    *text = json_text(value, size);
    return *text != NULL;
}

static bool optional_signal(struct json object, long *signum)
{
    struct json value;
    return !json_member(object, "signal", &value) || json_is_null(value) ||
           json_integer(value, 1, 64, signum);
}

const char *response_read(struct json object, struct response *response)
{
    struct json code;
    *response = (struct response){0};
    if (!json_member(object, "exit_code", &code) || !json_integer(code, 0, 255, &response->exit_code))
        return "the exit code is not a number from 0 to 255";
    if (!optional_signal(object, &response->signum))
        return "the signal is not a number from 1 to 64";
    if (!optional_text(object, "stdout", &response->out, &response->out_size) ||
        !optional_text(object, "stderr", &response->err, &response->err_size))
        return "the output is not text";
    return NULL;
}

void response_print(const struct response *response)
{
    write_whole(STDOUT_FILENO, response->out, response->out_size);
    write_whole(STDERR_FILENO, response->err, response->err_size);
}

void response_free(struct response *response)
{
    free(response->out);
    free(response->err);
}
