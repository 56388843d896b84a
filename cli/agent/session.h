/* Running a tool through its plugin, from the request to the exit status. */
#ifndef SESSION_H
#define SESSION_H

/* Statuses of this program's own, of those that shells use for commands that could not be run. */
enum { STATUS_BROKEN = 125, STATUS_TOO_LARGE = 126, STATUS_MISSING = 127 };

/* Runs `tool` at the plugin's socket and returns the exit status to end with. */
int run_tool(const char *tool, const char *path, char *const *args);

/* Says that there is no plugin for the tool at the socket: `error` is the errno of connecting. */
int complain_missing(const char *tool, const char *path, int error);

/* Says that the plugin's answer is wrong, and how; `problem` NULL: that there was none. */
int complain_broken(int status, const char *tool, const char *problem);

#endif
