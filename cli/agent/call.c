#include "call.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "json_write.h"

bool add_call(struct buffer *frame, char *const *args)
{
    char *cwd = getcwd(NULL, 0);
    if (cwd == NULL) {
        complain(0, "Change to a directory that exists, and try again.",
                 "the current directory cannot be found: %s", strerror(errno));
        return false;
    }
    buffer_add_string(frame, ",\"args\":");
    json_add_list(frame, args);
    buffer_add_string(frame, ",\"env\":");
    json_add_environment(frame, environ);
    buffer_add_string(frame, ",\"cwd\":");
    json_add_string(frame, cwd);
    free(cwd);
    return true;
}

int exit_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static bool ends_a_process(int signum)
{
    static const int others[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (signum == others[i])
            return false;
    return true;
}

void end_by(int signum)
{
    sigset_t only;
    if (!ends_a_process(signum))
        return;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(signum, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, signum);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    kill(getpid(), signum);
}
