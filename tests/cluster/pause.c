/* Holds a pod's namespaces until it is told to end. Takes: SIGTERM or SIGINT. Does not: collect orphans (no shared process namespace). */
#include <signal.h>
#include <unistd.h>

static void end(int number) { _exit(number == SIGTERM || number == SIGINT ? 0 : 1); }

int main(void) {
  signal(SIGTERM, end);
  signal(SIGINT, end);
  for (;;) pause();
}
