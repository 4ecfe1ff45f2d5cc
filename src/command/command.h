/*
 * command.h - what changes a project's state, as bytes for the log.
 *
 * A batch is a string table and a run of commands that refer to it, with the time at which it was
 * received. Batches are built by `ingest` and the faces, kept by `log`, and applied by `engine`.
 * The format is in docs/formats/command-batch.md; numbers in enums below are written to disk.
 *
 *     struct command_writer *w;                       one thread at a time
 *     command_writer_reset(w, received_ms);
 *     command_begin(w, COMMAND_EVENT, time_ms);
 *     command_ref(w, REF_IDENTITY, BYTES("u42"));
 *     command_name(w, BYTES("Charged"), false);
 *     command_property(w, BYTES("Amount"), PROPERTY_SET, &value);
 *     command_end(w);                                 or command_abandon(w): as if never begun
 *     struct bytes batch;  err = command_writer_finish(w, &batch);
 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/value.h"

enum command_kind {
    COMMAND_EVENT = 1,    /* refs, name, event id, properties, items */
    COMMAND_PROFILE = 2,  /* refs, properties with operators */
    COMMAND_IDENTIFY = 3, /* refs: the device and the identity that logged in on it */
    COMMAND_TOKEN = 4,    /* refs, properties: id, type, keys */
    COMMAND_MERGE = 5,    /* two refs: from, into */
    COMMAND_ERASE = 6,    /* refs */
    COMMAND_SETTING = 7,  /* name and one property "value": a project setting that changes what
                             later commands do (time zone, merge rule, discarded event types) */
};

enum ref_kind {
    REF_IDENTITY = 1,
    REF_DEVICE = 2, /* CleverTap's objectId */
    REF_EMAIL = 3,
    REF_PHONE = 4,
    REF_USER = 5, /* a user number in decimal; finds, never makes */
};

enum property_op {
    PROPERTY_SET = 0, /* $set */
    PROPERTY_ADD = 1, /* $add: to a list */
    PROPERTY_REMOVE = 2,
    PROPERTY_INCR = 3, /* a signed number: $decr is $incr of the negative */
    PROPERTY_DELETE = 4,
};

enum {
    COMMAND_REFS_MAX = 8,
    COMMAND_PROPERTIES_MAX = 1024,
    COMMAND_BATCH_MAX = 64 << 20, /* bytes of a batch */
};

/* --- writing ------------------------------------------------------------------ */

struct command_writer;
MUST_CHECK struct err command_writer_new(struct command_writer **out);
void command_writer_free(struct command_writer *writer);
void command_writer_reset(struct command_writer *writer, int64_t received_ms);

void command_begin(struct command_writer *writer, enum command_kind kind, int64_t time_ms);
void command_ref(struct command_writer *writer, enum ref_kind kind, struct bytes text);
/* The event type's (or setting's) name. is_folded: it names a known event type whose name differs
 * only in case and spaces, where there is one (CleverTap's rule). */
void command_name(struct command_writer *writer, struct bytes name, bool is_folded);
/* An event with this id counts once per project within the de-duplication window. */
void command_event_id(struct command_writer *writer, struct bytes id);
void command_property(struct command_writer *writer, struct bytes name, enum property_op op,
                      const struct value *value);
/* Was a property's name given twice in the open command (or twice in one of its items)? */
bool command_has_twins(const struct command_writer *writer);
/* Properties after this are those of the next item of `Items`. */
void command_item(struct command_writer *writer);
void command_end(struct command_writer *writer);
void command_abandon(struct command_writer *writer);

uint32_t command_writer_count(const struct command_writer *writer); /* ended commands */
size_t command_writer_size(const struct command_writer *writer);    /* bytes so far, about */
/* The batch: owned by the writer until its next reset. ERR_LIMIT: larger than COMMAND_BATCH_MAX.
 * ERR_NOMEM. A batch without commands is ERR_INVALID. */
MUST_CHECK struct err command_writer_finish(struct command_writer *writer, struct bytes *batch_out);

/* --- reading ------------------------------------------------------------------- */

struct command_ref {
    enum ref_kind kind;
    uint32_t text_index; /* in the string table, so that a batch's repeated refs can be cached */
    struct bytes text;
};

struct command_property {
    uint32_t name_index;
    enum property_op op;
    struct bytes name;
    struct value value;
};

struct command_item {
    const struct command_property *properties;
    uint32_t count;
};

struct command {
    enum command_kind kind;
    uint32_t index; /* in its batch: 0, 1, …; position = the batch's + index */
    int64_t time_ms;
    struct command_ref refs[COMMAND_REFS_MAX];
    uint32_t ref_count;
    uint32_t name_index;
    bool is_name_folded;
    struct bytes name;
    struct bytes event_id; /* empty: none */
    const struct command_property *properties;
    uint32_t property_count;
    const struct command_item *items;
    uint32_t item_count;
};

/* A batch being read. All ranges point into the batch's bytes and the arena. */
struct command_reader;

/* Checks the whole batch's frame and string table; ERR_CORRUPT otherwise. `batch` and `arena` are
 * borrowed until the reader is no longer used. */
MUST_CHECK struct err command_reader_open(struct bytes batch, struct arena *arena,
                                          struct command_reader **out);
int64_t command_reader_received_ms(const struct command_reader *reader);
uint32_t command_reader_count(const struct command_reader *reader);
uint32_t command_reader_strings(const struct command_reader *reader); /* size of the string table */
struct bytes command_reader_string(const struct command_reader *reader, uint32_t index);
/* *has_out false at the end. The command lives until the next call. ERR_CORRUPT. */
MUST_CHECK struct err command_next(struct command_reader *reader, struct command *command_out,
                                   bool *has_out);

#endif
