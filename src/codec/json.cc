// json.cc - the only C++ of the tree: simdjson's DOM parser and the shortest decimals of
// libstdc++, behind a C interface. What the tape means is known to json.h.

#include "codec/json_internal.h"

#include <charconv>
#include <new>
#include <simdjson.h>

struct json_dom {
    simdjson::dom::parser parser;
    size_t capacity;
    size_t max_depth;
};

// A parser that once met a large text doesn't keep its room for ever.
static constexpr size_t CAPACITY_MIN = size_t(64) << 10;
static constexpr size_t CAPACITY_KEPT = size_t(4) << 20;

json_dom *json_dom_new(size_t max_depth)
{
    json_dom *dom = new (std::nothrow) json_dom;
    if (!dom)
        return nullptr;
    dom->capacity = 0;
    dom->max_depth = max_depth;
    return dom;
}

void json_dom_free(json_dom *dom)
{
    delete dom;
}

static bool has_capacity(json_dom *dom, size_t len)
{
    if (len <= dom->capacity && (dom->capacity <= CAPACITY_KEPT || len > CAPACITY_KEPT))
        return true;
    size_t capacity = CAPACITY_MIN;
    while (capacity < len)
        capacity *= 2;
    dom->capacity = 0;
    if (dom->parser.doc.allocate(0) != simdjson::SUCCESS ||
        dom->parser.allocate(capacity, dom->max_depth + 1) != simdjson::SUCCESS ||
        dom->parser.doc.allocate(capacity) != simdjson::SUCCESS)
        return false;
    dom->capacity = capacity;
    return true;
}

json_dom_outcome json_dom_parse(json_dom *dom, const uint8_t *text, size_t len,
                                const uint64_t **tape_out, const uint8_t **strings_out)
{
    if (!has_capacity(dom, len))
        return JSON_DOM_NO_MEMORY;
    simdjson::error_code code = dom->parser.parse(text, len, false).error();
    if (code == simdjson::MEMALLOC)
        return JSON_DOM_NO_MEMORY;
    if (code != simdjson::SUCCESS)
        return JSON_DOM_WRONG;
    *tape_out = dom->parser.doc.tape.get();
    *strings_out = dom->parser.doc.string_buf.get();
    return JSON_DOM_OK;
}

size_t json_shortest_real(double value, char *to)
{
    return size_t(std::to_chars(to, to + 24, value).ptr - to);
}
