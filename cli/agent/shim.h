/* The plugin's own end within a running command: what git calls as hook, editor and pager. It runs in the
 * worker's sandbox, and speaks over the channel that the command was given. See "The channel" in
 * docs/architecture.md. Whatever goes wrong ends in a failure, so that no check can be skipped. */
#ifndef SHIM_H
#define SHIM_H

/* args: the hook's name, then its arguments. Returns the exit status to end with. */
int ask_about_hook(char *const *args);

/* args: a program and its arguments, to be run on the agent's side with this process's descriptors 0, 1, 2. */
int run_for_agent(char *const *args);

#endif
