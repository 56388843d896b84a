/* Programs that the plugin asks to have run here, on the agent's side: hooks of the repository, editors,
 * pagers. They stay in this process's group, so that terminals work as they always do. */
#ifndef RUNS_H
#define RUNS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "frames.h"

enum { RUNS_AT_ONCE = 64 };

struct runs {
    struct {
        long number;
        pid_t pid;
    } running[RUNS_AT_ONCE];
    size_t count;
    sigset_t signals; /* the signal mask to run them with */
};

/* Starts what the frame asks for. False, with the connection's `problem` set, when the frame is wrong. */
bool runs_start(struct runs *runs, struct connection *connection, struct json frame);

/* Tells the plugin about those that have ended. */
void runs_collect(struct runs *runs, int socket);

/* Ends those still running; gives them a moment to put the terminal in order. */
void runs_end(struct runs *runs);

#endif
