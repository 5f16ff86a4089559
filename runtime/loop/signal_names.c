/* signal_names.c: the names of the operating system's signals.
 *
 * Called by the bindings of signals and processes. Real-time signals have no names.
 */
#include "qn/signal.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

/* The first name of a number is the one that qn_signal_name gives. */
static const struct {
  const char *name;
  int number;
} names[] = {
    {"SIGHUP", SIGHUP},       {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT}, {"SIGILL", SIGILL},
    {"SIGTRAP", SIGTRAP},     {"SIGABRT", SIGABRT}, {"SIGIOT", SIGABRT},  {"SIGBUS", SIGBUS},
    {"SIGFPE", SIGFPE},       {"SIGKILL", SIGKILL}, {"SIGUSR1", SIGUSR1}, {"SIGSEGV", SIGSEGV},
    {"SIGUSR2", SIGUSR2},     {"SIGPIPE", SIGPIPE}, {"SIGALRM", SIGALRM}, {"SIGTERM", SIGTERM},
    {"SIGCHLD", SIGCHLD},     {"SIGCONT", SIGCONT}, {"SIGSTOP", SIGSTOP}, {"SIGTSTP", SIGTSTP},
    {"SIGTTIN", SIGTTIN},     {"SIGTTOU", SIGTTOU}, {"SIGURG", SIGURG},   {"SIGXCPU", SIGXCPU},
    {"SIGXFSZ", SIGXFSZ},     {"SIGPROF", SIGPROF}, {"SIGSYS", SIGSYS},   {"SIGIO", SIGIO},
    {"SIGVTALRM", SIGVTALRM},
#ifdef SIGWINCH
    {"SIGWINCH", SIGWINCH},
#endif
#ifdef SIGPOLL
    {"SIGPOLL", SIGPOLL},
#endif
#ifdef SIGPWR
    {"SIGPWR", SIGPWR},
#endif
#ifdef SIGSTKFLT
    {"SIGSTKFLT", SIGSTKFLT},
#endif
};

enum { N_NAMES = sizeof names / sizeof names[0] };

int qn_signal_number(const char *name)
{
  if (strncasecmp(name, "SIG", 3) == 0) {
    name += 3;
  }
  for (int i = 0; i < N_NAMES; i++) {
    if (strcasecmp(names[i].name + 3, name) == 0) {
      return names[i].number;
    }
  }
  return 0;
}

const char *qn_signal_name(int signum)
{
  for (int i = 0; i < N_NAMES; i++) {
    if (names[i].number == signum) {
      return names[i].name;
    }
  }
  return NULL;
}
