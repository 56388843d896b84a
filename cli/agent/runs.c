#include "runs.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "json_write.h"

enum { NOT_RUNNABLE = 126, NOT_FOUND = 127, PATIENCE_MS = 500 };

/* What a frame asks for; the texts are owned. */
struct program {
    char **args;
    size_t arg_count;
    char **names; /* names[i] and values[i]: a variable */
    char **values;
    size_t variable_count;
    char *cwd;
};

static void free_list(char **list, size_t count)
{
    for (size_t i = 0; list != NULL && i < count; i++)
        free(list[i]);
    free(list);
}

static void free_program(struct program *program)
{
    free_list(program->args, program->arg_count);
    free_list(program->names, program->variable_count);
    free_list(program->values, program->variable_count);
    free(program->cwd);
}

static size_t count_items(struct json list)
{
    size_t count = 0;
    for (struct json item; json_next_item(&list, &item);)
        count++;
    return count;
}

static bool read_args(struct json list, struct program *program)
{
    if (!json_is_list(list))
        return false;
    program->args = calloc(count_items(list) + 1, sizeof *program->args);
    if (program->args == NULL)
        return false;
    for (struct json item; json_next_item(&list, &item);) {
        char *text = json_text(item, NULL);
        if (text == NULL)
            return false;
        program->args[program->arg_count++] = text;
    }
    return program->arg_count > 0 && program->args[0][0] != '\0';
}

static size_t count_members(struct json object)
{
    size_t count = 0;
    for (struct json key, value; json_next_member(&object, &key, &value);)
        count++;
    return count;
}

static bool is_variable_name(const char *name)
{
    return name != NULL && *name != '\0' && strchr(name, '=') == NULL;
}

static bool read_variables(struct json object, struct program *program)
{
    if (!json_is_object(object))
        return false;
    size_t count = count_members(object);
    program->names = calloc(count + 1, sizeof *program->names);
    program->values = calloc(count + 1, sizeof *program->values);
    if (program->names == NULL || program->values == NULL)
        return false;
    for (struct json key, value; json_next_member(&object, &key, &value);) {
        size_t i = program->variable_count++;
        program->names[i] = json_text(key, NULL);
        program->values[i] = json_text(value, NULL);
        if (!is_variable_name(program->names[i]) || program->values[i] == NULL)
            return false;
    }
    return true;
}

static bool read_program(struct json frame, struct program *program)
{
    struct json args, variables, cwd;
    if (!json_member(frame, "args", &args) || !json_member(frame, "env", &variables) ||
        !json_member(frame, "cwd", &cwd))
        return false;
    if (!read_args(args, program) || !read_variables(variables, program))
        return false;
    program->cwd = json_text(cwd, NULL);
    return program->cwd != NULL;
}

_Noreturn static void cannot_run(const char *what, int status)
{
    _exit(complain(status, NULL, "cannot run %s: %s", what, strerror(errno)));
}

/* In the child: becomes the program. */
_Noreturn static void become(const struct program *program, const int *fds, const sigset_t *signals)
{
    for (int target = 0; target < FRAME_FDS; target++)
        if (dup2(fds[target], target) < 0)
            _exit(NOT_RUNNABLE);
    if (chdir(program->cwd) != 0)
        cannot_run(program->cwd, NOT_RUNNABLE);
    for (size_t i = 0; i < program->variable_count; i++)
        if (setenv(program->names[i], program->values[i], 1) != 0)
            cannot_run(program->args[0], NOT_RUNNABLE);
    sigprocmask(SIG_SETMASK, signals, NULL);
    execvp(program->args[0], program->args);
    cannot_run(program->args[0], errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_RUNNABLE);
}

static void answer(int socket, long number, int exit_code)
{
    struct buffer frame;
    frame_begin(&frame, "ran");
    buffer_add_string(&frame, ",\"run\":");
    json_add_number(&frame, number);
    buffer_add_string(&frame, ",\"exit_code\":");
    json_add_number(&frame, exit_code);
    frame_send(&frame, socket, NULL, 0); /* when the peer is gone, the next read says so */
}

static const char *wrong_with(struct runs *runs, struct connection *connection, struct json frame,
                              struct program *program, long *number)
{
    struct json run;
    if (connection->fd_count != FRAME_FDS)
        return "a program to run came without its three descriptors";
    if (runs->count == RUNS_AT_ONCE)
        return "too many programs are to run at once";
    if (!json_member(frame, "run", &run) || !json_integer(run, 0, INT32_MAX, number) ||
        !read_program(frame, program))
        return "a program to run is not described as it must be";
    return NULL;
}

bool runs_start(struct runs *runs, struct connection *connection, struct json frame)
{
    struct program program = {0};
    long number = 0;
    connection->problem = wrong_with(runs, connection, frame, &program, &number);
    if (connection->problem == NULL) {
        pid_t pid = fork();
        if (pid == 0)
            become(&program, connection->fds, &runs->signals);
        if (pid > 0) {
            runs->running[runs->count].number = number;
            runs->running[runs->count++].pid = pid;
        } else {
            answer(connection->socket, number, NOT_RUNNABLE);
        }
    }
    free_program(&program);
    return connection->problem == NULL;
}

void runs_collect(struct runs *runs, int socket)
{
    for (size_t i = 0; i < runs->count;) {
        int status = 0;
        pid_t pid = waitpid(runs->running[i].pid, &status, WNOHANG);
        if (pid == 0) {
            i++;
            continue;
        }
        if (socket >= 0)
            answer(socket, runs->running[i].number, pid > 0 ? exit_status(status) : NOT_RUNNABLE);
        runs->running[i] = runs->running[--runs->count];
    }
}

void runs_end(struct runs *runs)
{
    sigset_t child;
    struct timespec patience = {.tv_nsec = PATIENCE_MS * 1000000L};
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    runs_collect(runs, -1);
    for (size_t i = 0; i < runs->count; i++)
        kill(runs->running[i].pid, SIGTERM);
    while (runs->count > 0 && sigtimedwait(&child, NULL, &patience) == SIGCHLD)
        runs_collect(runs, -1);
}
