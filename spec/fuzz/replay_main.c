/*
 * Runs a fuzz target over its corpus without libFuzzer, so that every past finding is a regression
 * test in each preset: fuzz_x <folder or file>... Called by ctest. It must not skip a file that it
 * cannot read. Invariant: each input is handed over in a buffer of its exact size, so that a
 * sanitizer sees the first byte read beyond it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPLAY_LIMIT ((size_t)64 << 20)

static unsigned long n_inputs;

static int replay_file(const char *path)
{
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    return 1;
  }
  struct stat st;
  if (fstat(fileno(file), &st) != 0 || st.st_size < 0 || (size_t)st.st_size > REPLAY_LIMIT) {
    fprintf(stderr, "%s: not a usable input\n", path);
    fclose(file);
    return 1;
  }
  size_t size = (size_t)st.st_size;
  uint8_t *data = malloc(size > 0 ? size : 1);
  if (data == NULL || fread(data, 1, size, file) != size) {
    fprintf(stderr, "%s: cannot read\n", path);
    free(data);
    fclose(file);
    return 1;
  }
  fclose(file);
  LLVMFuzzerTestOneInput(data, size);
  free(data);
  n_inputs++;
  return 0;
}

static int replay_folder(const char *path)
{
  struct dirent **entries;
  int n = scandir(path, &entries, NULL, alphasort);
  if (n < 0) {
    perror(path);
    return 1;
  }
  int failed = 0;
  for (int i = 0; i < n; i++) {
    char name[4096];
    int length = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
    if (entries[i]->d_name[0] != '.' && length > 0 && (size_t)length < sizeof name) {
      failed |= replay_file(name);
    }
    free(entries[i]);
  }
  free(entries);
  return failed;
}

int main(int argc, char **argv)
{
  int failed = 0;
  for (int i = 1; i < argc; i++) {
    struct stat st;
    if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
      failed |= replay_folder(argv[i]);
    } else {
      failed |= replay_file(argv[i]);
    }
  }
  LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  printf("%lu inputs\n", n_inputs);
  if (n_inputs == 0) {
    fprintf(stderr, "no input in the corpus\n");
    failed = 1;
  }
  return failed;
}
