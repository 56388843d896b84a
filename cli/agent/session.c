#include "session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "call.h"
#include "frames.h"
#include "json_write.h"
#include "response.h"
#include "runs.h"

/* The tool runs elsewhere, out of reach of the terminal and of kill(1): these are passed on. */
static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP};

enum { SEND_PATIENCE = 5 }; /* seconds that the plugin may leave a signal unread */

struct session {
    const char *tool;
    struct connection connection;
    int signals; /* a signalfd */
    struct runs runs;
    bool ended;
    int status; /* to exit with, once ended */
    int signum; /* to end by instead, when it is not 0 */
};

int complain_missing(const char *tool, const char *path, int error)
{
    const char *hint = "It is not running. The operator can start it: claude-container start";
    if (error == EACCES || error == EPERM)
        hint = "This user may not use its socket; ask the operator.";
    else if (error == ENAMETOOLONG)
        hint = "The path of its socket is too long; choose a shorter PLUGIN_SOCKET_DIR.";
    else if (error != ENOENT && error != ECONNREFUSED && error != ENOTDIR)
        return complain(STATUS_MISSING, path, "%s plugin not available (%s)", tool, strerror(error));
    return complain(STATUS_MISSING, hint, "%s plugin not available", tool);
}

int complain_broken(int status, const char *tool, const char *problem)
{
    static const char hint[] = "Try again; if it stays so, ask the operator to look at: claude-container logs";
    if (problem == NULL)
        return complain(status, hint, "%s plugin closed the connection before answering", tool);
    return complain(status, hint, "%s plugin sent an answer that makes no sense: %s", tool, problem);
}

static void end(struct session *session, int status)
{
    session->ended = true;
    session->status = status;
}

static void end_broken(struct session *session, const char *problem)
{
    end(session, complain_broken(STATUS_BROKEN, session->tool, problem));
}

/* ------------------------------------------------------------------ the request */

static mode_t current_umask(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return mask;
}

/* False, after a complaint, when there is nothing that could be asked for. */
static bool make_request(struct buffer *frame, char *const *args)
{
    frame_begin(frame, "exec");
    buffer_add_string(frame, ",\"stdio\":\"fds\",\"umask\":");
    json_add_number(frame, (long)current_umask());
    if (add_call(frame, args))
        return true;
    buffer_free(frame);
    return false;
}

/* True when the plugin has the request, or has closed its end: then it may have said why before. */
static bool send_request(struct session *session, struct buffer *frame)
{
    static const int standard[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    if (frame_send(frame, session->connection.socket, standard, 3) || errno == EPIPE || errno == ECONNRESET)
        return true;
    if (errno == E2BIG)
        end(session, complain(STATUS_TOO_LARGE, "Pass fewer arguments, or a smaller environment.",
                              "arguments and environment are larger than 8 MiB"));
    else
        end(session, complain(STATUS_BROKEN, NULL, "cannot send to the %s plugin: %s", session->tool,
                              strerror(errno)));
    return false;
}

/* ------------------------------------------------------------------ signals */

/* From here on signals are read from a descriptor. One that was ignored when we started stays so. */
static bool catch_signals(struct session *session)
{
    sigset_t caught;
    sigemptyset(&caught);
    sigaddset(&caught, SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) {
        struct sigaction now;
        if (sigaction(forwarded[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&caught, forwarded[i]);
    }
    sigprocmask(SIG_BLOCK, &caught, &session->runs.signals);
    session->signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
    if (session->signals < 0)
        end(session, complain(STATUS_BROKEN, NULL, "cannot receive signals: %s", strerror(errno)));
    return session->signals >= 0;
}

static void forward(struct session *session, int signum)
{
    struct timeval patience = {.tv_sec = SEND_PATIENCE};
    struct buffer frame;
    setsockopt(session->connection.socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    frame_begin(&frame, "signal");
    buffer_add_string(&frame, ",\"signum\":");
    json_add_number(&frame, signum);
    if (!frame_send(&frame, session->connection.socket, NULL, 0) && errno == EAGAIN)
        end(session, complain(STATUS_BROKEN, NULL, "%s plugin does not take the signal", session->tool));
}

/* Stops this process as the signal would have, so that the shell has the terminal again. */
static void stop(struct session *session)
{
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGTSTP);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &only, NULL); /* here it stops, and later goes on */
    sigprocmask(SIG_BLOCK, &only, NULL);
    forward(session, SIGCONT);
}

/* A key at the terminal reaches the programs that run here by itself, and is meant for them alone: an
 * editor lives on after Ctrl-C, and the tool must not be ended under it. */
static bool is_meant_for_a_program(struct session *session, const struct signalfd_siginfo *signal)
{
    bool interrupt = signal->ssi_signo == SIGINT || signal->ssi_signo == SIGQUIT;
    return interrupt && signal->ssi_code == SI_KERNEL && session->runs.count > 0;
}

static void take_signals(struct session *session)
{
    struct signalfd_siginfo signal;
    while (!session->ended && read(session->signals, &signal, sizeof signal) == (ssize_t)sizeof signal) {
        if (signal.ssi_signo == SIGCHLD) {
            runs_collect(&session->runs, session->connection.socket);
        } else if (!is_meant_for_a_program(session, &signal)) {
            forward(session, (int)signal.ssi_signo);
            if (signal.ssi_signo == SIGTSTP)
                stop(session);
        }
    }
}

/* ------------------------------------------------------------------ the answer */

static void take_response(struct session *session, struct json frame)
{
    struct response response = {0};
    const char *problem = session->connection.fd_count > 0 ? "descriptors came with the response"
                                                           : response_read(frame, &response);
    if (problem != NULL) {
        end_broken(session, problem);
    } else {
        response_print(&response);
        end(session, (int)response.exit_code);
        session->signum = (int)response.signum;
    }
    response_free(&response);
}

static bool is_run(struct json frame)
{
    struct json action;
    char *text = json_member(frame, "action", &action) ? json_text(action, NULL) : NULL;
    bool run = text != NULL && strcmp(text, "run") == 0;
    free(text);
    return run;
}

static void take_frame(struct session *session)
{
    struct connection *connection = &session->connection;
    struct json frame;
    if (!connection_object(connection, &frame))
        end_broken(session, connection->problem);
    else if (!is_run(frame))
        take_response(session, frame);
    else if (!runs_start(&session->runs, connection, frame))
        end_broken(session, connection->problem);
    connection_next(connection);
}

static void take_messages(struct session *session)
{
    switch (connection_receive(&session->connection)) {
    case ARRIVAL_FRAME:
        take_frame(session);
        break;
    case ARRIVAL_CLOSED:
        end_broken(session, NULL);
        break;
    case ARRIVAL_INVALID:
        end_broken(session, session->connection.problem);
        break;
    case ARRIVAL_MORE:
        break;
    }
}

/* ------------------------------------------------------------------ from start to end */

static void attend(struct session *session)
{
    struct pollfd ready[] = {
        {.fd = session->signals, .events = POLLIN},
        {.fd = session->connection.socket, .events = POLLIN},
    };
    while (!session->ended) {
        if (poll(ready, 2, -1) < 0)
            continue;
        if (ready[0].revents != 0)
            take_signals(session);
        if (ready[1].revents != 0 && !session->ended)
            take_messages(session);
    }
}

int run_tool(const char *tool, const char *path, char *const *args)
{
    struct session session = {.tool = tool, .signals = -1};
    struct buffer frame;
    if (!make_request(&frame, args)) /* before connecting: the plugin then finds it there at once */
        return STATUS_TOO_LARGE;
    int socket = connect_to(path);
    if (socket < 0) {
        int error = errno;
        buffer_free(&frame);
        return complain_missing(tool, path, error);
    }
    connection_init(&session.connection, socket);
    if (send_request(&session, &frame) && catch_signals(&session)) {
        attend(&session);
        runs_end(&session.runs);
    }
    connection_next(&session.connection);
    close(session.signals);
    close(socket);
    if (session.signum != 0)
        end_by(session.signum);
    return session.status;
}
