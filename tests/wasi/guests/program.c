// An ordinary C program that uses files, directories, links, time and standard streams as programs do.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int check(int ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(3);
  }
  return ok;
}

static int files(void) {
  FILE *file = fopen("notes.txt", "w");
  check(file != NULL, "fopen");
  for (int line = 0; line < 1000; line++) fprintf(file, "line %d\n", line);
  check(fclose(file) == 0, "fclose");
  file = fopen("notes.txt", "a+");
  fputs("appended\n", file);
  rewind(file);
  char text[64];
  int lines = 0;
  while (fgets(text, sizeof text, file)) lines++;
  fclose(file);
  printf("%d lines, the last is %s", lines, text);
  check(mkdir("dir", 0777) == 0, "mkdir");
  check(rename("notes.txt", "dir/notes.txt") == 0, "rename");
  check(symlink("dir/notes.txt", "link") == 0, "symlink");
  struct stat found;
  check(stat("link", &found) == 0 && S_ISREG(found.st_mode), "stat");
  printf("%lld bytes\n", (long long)found.st_size);
  check(lstat("link", &found) == 0 && S_ISLNK(found.st_mode), "lstat");
  DIR *directory = opendir("dir");
  for (struct dirent *entry; (entry = readdir(directory));) printf("entry %s\n", entry->d_name);
  closedir(directory);
  check(truncate("dir/notes.txt", 4) == 0, "truncate");
  check(access("dir/notes.txt", F_OK) == 0, "access");
  check(unlink("link") == 0 && unlink("dir/notes.txt") == 0 && rmdir("dir") == 0, "cleaning up");
  check(open("/etc/passwd", O_RDONLY) < 0 && open("../x", O_RDONLY) < 0, "escaping");
  return 0;
}

static int shout(void) {
  for (int c; (c = getchar()) != EOF;) putchar(c >= 'a' && c <= 'z' ? c - 32 : c);
  return ferror(stdin) ? 4 : 0;
}

static int wait(void) {
  struct pollfd fds = {.fd = 0, .events = POLLIN};
  struct timespec pause = {0, 1000000};
  return poll(&fds, 1, 1000) == 1 && nanosleep(&pause, NULL) == 0 && time(NULL) > 0 ? 0 : 5;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  if (!strcmp(argv[1], "files")) return files();
  if (!strcmp(argv[1], "shout")) return shout();
  if (!strcmp(argv[1], "wait")) return wait();
  if (!strcmp(argv[1], "env")) return puts(getenv("GREETING")) < 0;
  if (!strcmp(argv[1], "exit")) exit(atoi(argv[2]));
  if (!strcmp(argv[1], "abort")) abort();
  return 1;
}
