/* plugin-client: takes a command to the plugin that may run it.
 *
 * Called under another name, through a symbolic link, it is that tool. It decides nothing and holds no
 * secret: whatever it is made to do, the agent that calls it could do as well. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "query.h"
#include "session.h"
#include "shim.h"
#include "text.h"

static const char own_name[] = "plugin-client";

static const char usage[] =
    "usage: plugin-client SOCKET ARG...          run the tool of the plugin at SOCKET\n"
    "       plugin-client --list                 name the plugins that answer\n"
    "       plugin-client --health SOCKET        say whether the plugin is well\n"
    "       plugin-client --capabilities SOCKET  print what the plugin offers, as JSON\n"
    "       plugin-client --help\n"
    "\n"
    "Called under another name, it is the tool of that name. In place of a path, SOCKET may be a tool's\n"
    "name. Sockets are looked for in $PLUGIN_SOCKET_DIR, else in /run/plugins.\n"
    "Within a command that a plugin runs: --hook NAME ARG..., --run PROGRAM ARG...,\n"
    "--connect SERVICE SCHEME REPOSITORY, --await-gateway\n";

/* So that no descriptor that we open takes the place of a standard one which the caller had closed. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            _exit(STATUS_BROKEN);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static const char *socket_directory(void)
{
    const char *directory = getenv("PLUGIN_SOCKET_DIR");
    return directory != NULL && *directory != '\0' ? directory : "/run/plugins";
}

/* A plugin: its tool's name and the path of its socket. */
struct plugin {
    char *tool;
    char *path;
};

static struct plugin plugin_of_tool(const char *tool)
{
    struct plugin plugin = {.tool = strdup(tool)};
    if (asprintf(&plugin.path, "%s/%s.sock", socket_directory(), tool) < 0 || plugin.tool == NULL)
        _exit(complain(STATUS_BROKEN, NULL, "there is no memory left"));
    return plugin;
}

/* From what stands for SOCKET on the command line. */
static struct plugin plugin_at(const char *socket)
{
    const char *name = base_name(socket);
    size_t length = strlen(name);
    bool named_as_one = length > 5 && strcmp(name + length - 5, ".sock") == 0;
    if (name == socket && !named_as_one)
        return plugin_of_tool(name);
    struct plugin plugin = {.tool = strndup(name, named_as_one ? length - 5 : length), .path = strdup(socket)};
    if (plugin.tool == NULL || plugin.path == NULL)
        _exit(complain(STATUS_BROKEN, NULL, "there is no memory left"));
    return plugin;
}

static int run(struct plugin plugin, char *const *args)
{
    int status = run_tool(plugin.tool, plugin.path, args);
    free(plugin.tool);
    free(plugin.path);
    return status;
}

static int ask(struct plugin plugin, const char *action)
{
    int status = ask_plugin(plugin.tool, plugin.path, action);
    free(plugin.tool);
    free(plugin.path);
    return status;
}

static int misused(void)
{
    return complain(2, "See: plugin-client --help", "plugin-client was called in a way that it does not know");
}

static int help(void)
{
    write_whole(STDOUT_FILENO, usage, sizeof usage - 1);
    return 0;
}

static int serve(int count, char *const *args)
{
    const char *first = args[0];
    if (count == 0)
        return misused();
    if (strcmp(first, "--hook") == 0)
        return count > 1 ? ask_about_hook(args + 1) : misused();
    if (strcmp(first, "--run") == 0)
        return count > 1 ? run_for_agent(args + 1) : misused();
    if (strcmp(first, "--connect") == 0)
        return count == 4 ? connect_to_gateway(args[1], args[2], args[3]) : misused();
    if (strcmp(first, "--await-gateway") == 0)
        return count == 1 ? await_gateway() : misused();
    if (strcmp(first, "--health") == 0)
        return count == 2 ? ask(plugin_at(args[1]), "health") : misused();
    if (strcmp(first, "--capabilities") == 0)
        return count == 2 ? ask(plugin_at(args[1]), "capabilities") : misused();
    if (strcmp(first, "--list") == 0)
        return count == 1 ? list_plugins(socket_directory()) : misused();
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
        return help();
    return *first == '-' ? misused() : run(plugin_at(first), args + 1);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    if (argc < 1)
        return misused();
    const char *name = base_name(argv[0]);
    if (strncmp(name, own_name, sizeof own_name - 1) == 0)
        return serve(argc - 1, argv + 1);
    return run(plugin_of_tool(name), argv + 1);
}
