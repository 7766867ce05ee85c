/* kv.h: what the host module "kv" of kv.py offers, as a C guest sees it.
 *
 * How Python's annotations arrive in C:
 *
 *     String      const char *, uint32_t    UTF-8 bytes and how many; no NUL needed
 *     Bytes       void *, uint32_t          a buffer that the host reads or fills, and its size
 *     List[T]     T *, uint32_t             an array, and how many elements it has
 *     Pointer[T]  T *                       one T that the host reads or fills
 *     Uint64      uint64_t
 *     Error       int32_t                   0, or the errno of what went wrong
 */
#ifndef KV_H
#define KV_H

#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

/* The guest's numbers are part of the interface, so they are spelled out here and in kv.py,
 * and do not depend on the system that the host runs on. */
enum { ENOENT = 2, ENOSPC = 28, EOVERFLOW = 75, ENOBUFS = 105 };

/* One row of kv_top; the key is text[start] up to, not including, text[start + length]. */
struct kv_entry {
    uint32_t start;
    uint32_t length;
    uint64_t count;
};
_Static_assert(sizeof(struct kv_entry) == 16, "kv.py declares 16 bytes");

/* ENOENT: there is no such key; *count is left alone. */
IMPORT("kv", "get") int32_t kv_get(const char *key, uint32_t key_length, uint64_t *count);

/* ENOSPC: the key is new, and the store is full. EOVERFLOW: the count takes more than 63 bits. */
IMPORT("kv", "set") int32_t kv_set(const char *key, uint32_t key_length, uint64_t count);

/* The keys with the highest counts, best first; *filled says how many of the rows are.
 * ENOBUFS: text is too small for their keys; try again with a larger one. */
IMPORT("kv", "top") int32_t kv_top(struct kv_entry *rows, uint32_t room, char *text, uint32_t text_size,
                                   uint32_t *filled);

/* Keeps what was set; without it the store forgets it when it is closed. */
IMPORT("kv", "commit") int32_t kv_commit(void);

/* Shows one line of text; the host adds the line's end. */
IMPORT("console", "print") void console_print(const char *line, uint32_t length);

#endif
