/* What is to be done: arguments, environment and directory; and how it ended. */
#ifndef CALL_H
#define CALL_H

#include <stdbool.h>

#include "text.h"

/* Adds "args", "env" (this process's) and "cwd" to a frame. False, after a message, when there is no
 * current directory. */
bool add_call(struct buffer *frame, char *const *args);

/* The exit status of a child that ended: its own, or 128 and the signal, as shells have it. */
int exit_status(int wait_status);

/* Ends this process by the signal, without a core of its own; returns when the signal does not end it. */
void end_by(int signum);

#endif
