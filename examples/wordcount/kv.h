/* Written by `hostmod bindgen c`; what stands here follows the Python declaration.
 *
 * How Python's annotations arrive here:
 *
 *     String            const char *, uint32_t   UTF-8 bytes and how many; no NUL needed
 *     Bytes             void *, uint32_t         a buffer that the host reads or fills, and its size
 *     Array[T] List[T]  T *, uint32_t            an array, and how many elements it has
 *     Pointer[T]        T *                      a T that the host reads or fills
 *     Duration          int64_t                  nanoseconds
 *     Error             int32_t                  0, or the errno of what went wrong
 *     Optional[T]       int32_t, and a T *       the errno, and where the result is stored if that is 0
 */
#ifndef HOSTMOD_KV_CONSOLE_H
#define HOSTMOD_KV_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef HOSTMOD_IMPORT
#define HOSTMOD_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define HOSTMOD_CHECKED __attribute__((warn_unused_result))
#endif

/* The host module "kv". Counts by key, in memory or in a file; `capacity` limits how many keys there may be. */

/* Error numbers, and the Python exceptions that they stand for. */
enum {
    KV_ENOENT = 2, /* KeyError */
    KV_ENOSPC = 28, /* StoreFullError */
    KV_EOVERFLOW = 75, /* OverflowError */
    KV_ENOBUFS = 105, /* BufferError */
};

/* A row of `Kv.top`; the key is ``text[start : start + length]`` of the buffer that is passed with the rows. */
struct kv_entry {
    uint32_t start;
    uint32_t length;
    uint64_t count;
};
_Static_assert(sizeof(struct kv_entry) == 16, "Python has 16 bytes");
_Static_assert(offsetof(struct kv_entry, start) == 0, "Python has it at 0");
_Static_assert(offsetof(struct kv_entry, length) == 4, "Python has it at 4");
_Static_assert(offsetof(struct kv_entry, count) == 8, "Python has it at 8");

/* Read one count. ENOENT: there is no such key; the count is left alone. */
HOSTMOD_IMPORT("kv", "get") HOSTMOD_CHECKED
int32_t kv_get(const char *key, uint32_t key_length, uint64_t *count);

/* Store one count, whether the key is new or not.
 *
 * ENOSPC: the key is new, and the store is full. EOVERFLOW: the count takes more than 63 bits.
 */
HOSTMOD_IMPORT("kv", "set") HOSTMOD_CHECKED
int32_t kv_set(const char *key, uint32_t key_length, uint64_t count);

/* Fill the rows with the highest counts, best first, and the text with their keys; `filled` says how many.
 *
 * ENOBUFS: the text is too small for their keys; try again with a larger one.
 */
HOSTMOD_IMPORT("kv", "top") HOSTMOD_CHECKED
int32_t kv_top(struct kv_entry *rows, uint32_t rows_length, void *text, uint32_t text_size, uint32_t *filled);

/* Keep what was set since the last commit; without it, the store forgets it when it is closed. */
HOSTMOD_IMPORT("kv", "commit") HOSTMOD_CHECKED
int32_t kv_commit(void);

/* The host module "console". */

/* Show one line of text. */
HOSTMOD_IMPORT("console", "print")
void console_print(const char *line, uint32_t line_length);

#endif
