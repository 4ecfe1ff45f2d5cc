/*
 * line.c - a line of a file, in CleverTap's shape or in the native one.
 *
 * The shape is told by the names that only one of them has; a line that has none is CleverTap's when
 * it says its `type`, and an error otherwise.
 */
#include "ingest/ingest_internal.h"

enum shape { SHAPE_NONE, SHAPE_CLEVERTAP, SHAPE_EVENT, SHAPE_PROFILE };

static enum shape shape_of(struct json_value record)
{
    enum shape shape = SHAPE_NONE;
    for (struct json_iter it = json_members(record); json_next(&it);) {
        if (bytes_equal(it.key, BYTES("evtName")) || bytes_equal(it.key, BYTES("profileData")) ||
            bytes_equal(it.key, BYTES("tokenData")) || bytes_equal(it.key, BYTES("type")) ||
            bytes_equal(it.key, BYTES("evtData")))
            return SHAPE_CLEVERTAP;
        if (bytes_equal(it.key, BYTES("event")))
            shape = SHAPE_EVENT;
        else if (shape == SHAPE_NONE && bytes_equal(it.key, BYTES("properties")))
            shape = SHAPE_PROFILE;
    }
    return shape;
}

bool ingest_line(struct ingest *in, const struct ingest_rules *rules, struct bytes line,
                 bool is_padded, struct command_writer *writer, struct ingest_problem *problem_out)
{
    struct json_value value;
    struct json_problem problem;
    bool is_fine = false;
    begin_line(in, rules, writer);
    bool is_json = is_padded ? json_parse_padded(in->parser, line, &value, &problem)
                             : json_parse(in->parser, line, &value, &problem);
    enum shape shape = is_json ? shape_of(value) : SHAPE_NONE;
    if (!is_json) {
        in->is_out_of_memory |= strcmp(problem.what, "no memory") == 0;
        (void)fail(in, PROBLEM_STRUCTURE, "malformed_json", "%s, at byte %zu of the line",
                   problem.what, problem.offset);
    } else if (shape == SHAPE_CLEVERTAP) {
        is_fine = upload_record(in, value, true);
    } else if (shape == SHAPE_EVENT) {
        is_fine = native_event(in, value);
    } else if (shape == SHAPE_PROFILE) {
        is_fine = native_profile(in, value);
    } else {
        (void)fail(in, PROBLEM_KIND, "kind_invalid",
                   "The line is no event (event or evtName) and no profile (properties or "
                   "profileData)");
    }
    return is_fine || take_line_problem(in, problem_out);
}
