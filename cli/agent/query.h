/* Questions about plugins: which are there, and how one is. */
#ifndef QUERY_H
#define QUERY_H

/* Prints the names of the plugins in the directory that answer, one a line, in order. Returns the status. */
int list_plugins(const char *directory);

/* Asks "health" or "capabilities" and prints what the plugin answers. Returns the status that it gives. */
int ask_plugin(const char *tool, const char *path, const char *action);

#endif
