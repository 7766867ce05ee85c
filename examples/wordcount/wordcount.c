/* wordcount.c: counts the words of a text that comes in pieces, and keeps the counts in the host's kv store.
 *
 * A word is a maximal run of ASCII letters and underscores; of a longer one the first 63 bytes count.
 * There is no libc here: the host is the only library this guest has.
 */
#include "kv.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define PRINT(text) console_print(text, sizeof text - 1)
#define MIN(a, b) ((a) < (b) ? (a) : (b))

enum { WORD_MAX = 63, SLOTS = 4096, PIECE_MAX = 65536, TOP_MAX = 100 };

/* Frequent words are added up here first, so that most occurrences cost no host call.
 * A slot with count 0 is free. */
struct slot {
    uint32_t count;
    uint32_t length;
    char text[WORD_MAX];
};
static struct slot slots[SLOTS];
static uint32_t used;

static char piece[PIECE_MAX]; /* where the host puts the next piece of the text */
static struct slot word;      /* the word being read: it may go on in the next piece */
static uint64_t refused;      /* occurrences that a full store did not take */

/* Adds one slot to the store. Every errno has its own answer. */
static int32_t store(const struct slot *slot) {
    uint64_t count;
    int32_t error = kv_get(slot->text, slot->length, &count);
    if (error == KV_ENOENT) /* not an error: the first time this word is stored */
        count = 0;
    else if (error)
        return error;

    error = kv_set(slot->text, slot->length, count + slot->count);
    if (error == KV_ENOSPC) { /* words that are in the store can still be updated: go on, and say so later */
        refused += slot->count;
        return 0;
    }
    return error; /* 0, or something that only the host can deal with */
}

static int32_t flush(void) {
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!slots[i].count) continue;
        int32_t error = store(&slots[i]);
        if (error) return error;
        slots[i].count = 0;
    }
    used = 0;
    return 0;
}

static int32_t end_word(void) {
    if (!word.length) return 0;

    uint32_t hash = 2166136261u; /* FNV-1a, then linear probing */
    for (uint32_t i = 0; i < word.length; i++) hash = (hash ^ (uint8_t)word.text[i]) * 16777619u;

    struct slot *slot = &slots[hash % SLOTS];
    while (slot->count
           && (slot->length != word.length || __builtin_memcmp(slot->text, word.text, word.length)))
        slot = &slots[++hash % SLOTS];

    if (!slot->count++) {
        __builtin_memcpy(slot->text, word.text, word.length);
        slot->length = word.length;
        used++;
    }
    word.length = 0;
    return used < SLOTS * 3 / 4 ? 0 : flush(); /* a free slot is always left, or probing would not end */
}

/* Writes "  count  word"; the count is right-aligned in ten columns. */
static void print_entry(const char *key, uint32_t length, uint64_t count) {
    char line[12 + WORD_MAX];
    __builtin_memset(line, ' ', 12);
    for (char *digit = line + 10; digit > line; count /= 10) {
        *--digit = (char)('0' + count % 10);
        if (count < 10) break;
    }
    length = MIN(length, WORD_MAX);
    __builtin_memcpy(line + 12, key, length);
    console_print(line, 12 + length);
}

/* The host writes up to piece_size() bytes at buffer(), then calls feed() with their number. */
EXPORT("buffer") char *buffer(void) { return piece; }
EXPORT("piece_size") uint32_t piece_size(void) { return PIECE_MAX; }

EXPORT("feed") int32_t feed(uint32_t length) {
    length = MIN(length, PIECE_MAX);
    for (uint32_t i = 0; i < length; i++) {
        char c = piece[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') {
            if (word.length < WORD_MAX) word.text[word.length++] = c;
        } else {
            int32_t error = end_word();
            if (error) return error;
        }
    }
    return 0;
}

/* Ends the text, keeps the counts, and prints the most frequent words of the store. */
EXPORT("finish") int32_t finish(uint32_t top) {
    int32_t error;
    if ((error = end_word()) || (error = flush()) || (error = kv_commit())) return error;

    /* How long the keys are only the host knows: start small, and double the buffer until they fit. */
    static struct kv_entry rows[TOP_MAX];
    static char text[TOP_MAX * WORD_MAX];
    uint32_t size = 16, filled;
    while ((error = kv_top(rows, MIN(top, TOP_MAX), text, size, &filled)) == KV_ENOBUFS && size < sizeof text)
        size = MIN(size * 2, sizeof text);
    if (error) return error;

    PRINT("     count  word");
    for (uint32_t i = 0; i < filled; i++) print_entry(text + rows[i].start, rows[i].length, rows[i].count);
    return 0;
}

/* How many words were left out because the store was full. */
EXPORT("words_refused") uint64_t words_refused(void) { return refused; }
