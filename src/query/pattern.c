/*
 * pattern.c - a regular expression as a set of positions that moves over the text.
 *
 * The pattern becomes a program of at most PATTERN_BYTES_MAX * 2 + 2 instructions. A set of program
 * counters is advanced by one character at a time, all at once, so a text of n characters costs
 * at most n times the program's length: there's no pattern that makes it slow.
 */
#include "query/pattern.h"

#include "base/bits.h"

enum op { P_CHAR, P_ANY, P_CLASS, P_START, P_END, P_SPLIT, P_JUMP, P_FOUND };

struct instruction {
    enum op op;
    uint32_t code;  /* P_CHAR: the character */
    uint32_t to[2]; /* P_SPLIT: both; P_JUMP: the first */
    bool is_inverted;
    uint64_t low[4];   /* P_CLASS: a bit per character below 256 */
    uint32_t range[8]; /* and ranges above: pairs */
    uint32_t range_count;
};

enum { PROGRAM_MAX = PATTERN_BYTES_MAX * 2 + 2, DEPTH_MAX = 32 };

struct pattern {
    struct instruction *program;
    uint32_t count;
    uint64_t *now; /* bit per instruction */
    uint64_t *next;
    uint32_t *stack;
};

struct compiler {
    struct bytes text;
    size_t at;
    struct instruction *program;
    uint32_t count;
    uint32_t depth;
    const char *problem;
};

/* One UTF-8 character; a byte that isn't one stands for itself. */
static uint32_t next_char(struct bytes text, size_t *at)
{
    uint8_t first = text.ptr[*at];
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    uint32_t code = first;

    if (length == 1 || *at + length > text.len) {
        *at += 1;
        return code;
    }
    code = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        uint8_t byte = text.ptr[*at + i];
        if ((byte & 0xc0) != 0x80) {
            *at += 1;
            return first;
        }
        code = code << 6 | (byte & 0x3fu);
    }
    *at += length;
    return code;
}

/* --- compiling ---------------------------------------------------------------------- */

static bool fail(struct compiler *c, const char *problem)
{
    if (!c->problem)
        c->problem = problem;
    return false;
}

static struct instruction *emit(struct compiler *c, enum op op)
{
    if (c->count == PROGRAM_MAX) {
        (void)fail(c, "the pattern is too long");
        return NULL;
    }
    struct instruction *instruction = &c->program[c->count++];
    *instruction = (struct instruction){ .op = op };
    return instruction;
}

/* Room for one instruction before those from `from` on; jumps behind it move along. */
static bool insert(struct compiler *c, uint32_t from, struct instruction instruction)
{
    if (!emit(c, P_JUMP))
        return false;
    memmove(&c->program[from + 1], &c->program[from], (c->count - 1 - from) * sizeof *c->program);
    for (uint32_t i = from + 1; i < c->count; i++) {
        struct instruction *moved = &c->program[i];
        int targets = moved->op == P_SPLIT ? 2 : moved->op == P_JUMP ? 1 : 0;
        for (int k = 0; k < targets; k++)
            if (moved->to[k] >= from)
                moved->to[k]++;
    }
    c->program[from] = instruction;
    return true;
}

static bool more(const struct compiler *c)
{
    return c->at < c->text.len;
}

static void class_add(struct compiler *c, struct instruction *class, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i <= to && i < 256; i++)
        bits_add(class->low, i);
    if (to < 256)
        return;
    if (class->range_count == 8) {
        (void)fail(c, "a [class] has too many ranges");
        return;
    }
    class->range[class->range_count++] = from > 256 ? from : 256;
    class->range[class->range_count++] = to;
}

/* \d \w \s and their opposites; false: it isn't one of them. */
static bool class_named(struct instruction *class, uint32_t name)
{
    uint64_t set[4] = { 0 };
    uint32_t lower = name | 32;

    if (lower != 'd' && lower != 'w' && lower != 's')
        return false;
    for (uint32_t i = 0; i < 256; i++) {
        bool is_digit = i >= '0' && i <= '9';
        bool is_word = is_digit || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z') || i == '_';
        bool is_space = i == ' ' || (i >= '\t' && i <= '\r');
        bool is_in = lower == 'd' ? is_digit : lower == 'w' ? is_word : is_space;
        if (is_in != (name < 'a'))
            bits_add(set, i);
    }
    for (int i = 0; i < 4; i++)
        class->low[i] |= set[i];
    if (name < 'a' && class->range_count < 8) {
        class->range[class->range_count++] = 256;
        class->range[class->range_count++] = 0x10ffff;
    }
    return true;
}

static bool compile_class(struct compiler *c)
{
    struct instruction *class = emit(c, P_CLASS);
    bool is_first = true;

    if (!class)
        return false;
    if (more(c) && c->text.ptr[c->at] == '^') {
        class->is_inverted = true;
        c->at++;
    }
    for (;; is_first = false) {
        if (!more(c))
            return fail(c, "a [class] isn't closed");
        if (c->text.ptr[c->at] == ']' && !is_first) {
            c->at++;
            return !c->problem;
        }
        bool is_escaped = c->text.ptr[c->at] == '\\';
        if (is_escaped && ++c->at == c->text.len)
            return fail(c, "nothing follows the backslash");
        uint32_t from = next_char(c->text, &c->at);
        if (is_escaped && class_named(class, from))
            continue;
        uint32_t to = from;
        if (c->at + 1 < c->text.len && c->text.ptr[c->at] == '-' && c->text.ptr[c->at + 1] != ']') {
            c->at++;
            to = next_char(c->text, &c->at);
            if (to < from)
                return fail(c, "a range in a [class] runs backwards");
        }
        class_add(c, class, from, to);
    }
}

static bool compile_any(struct compiler *c);

static bool compile_atom(struct compiler *c)
{
    uint32_t code = next_char(c->text, &c->at);
    struct instruction *instruction;

    switch (code) {
    case '(':
        if (++c->depth > DEPTH_MAX)
            return fail(c, "groups are nested too deep");
        if (!compile_any(c))
            return false;
        if (!more(c) || c->text.ptr[c->at] != ')')
            return fail(c, "a ( isn't closed");
        c->at++;
        c->depth--;
        return true;
    case '[':
        return compile_class(c);
    case '.':
        return emit(c, P_ANY) != NULL;
    case '^':
        return emit(c, P_START) != NULL;
    case '$':
        return emit(c, P_END) != NULL;
    case '*':
    case '+':
    case '?':
        return fail(c, "there's nothing to repeat before * + or ?");
    case '{':
        return fail(c, "counted repeats {n} are not part of these patterns: write \\{ for a brace");
    case '\\':
        if (!more(c))
            return fail(c, "nothing follows the backslash");
        code = next_char(c->text, &c->at);
        instruction = emit(c, P_CLASS);
        if (!instruction)
            return false;
        if (class_named(instruction, code))
            return true;
        if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
            (code >= '0' && code <= '9'))
            return fail(c, "this letter has no meaning behind a backslash");
        instruction->op = P_CHAR;
        instruction->code = code;
        return true;
    default:
        instruction = emit(c, P_CHAR);
        if (instruction)
            instruction->code = code;
        return instruction != NULL;
    }
}

static bool compile_repeat(struct compiler *c)
{
    uint32_t start = c->count;
    bool is_good = true;

    if (!compile_atom(c))
        return false;
    while (is_good && more(c)) {
        uint8_t sign = c->text.ptr[c->at];
        struct instruction split = { .op = P_SPLIT };
        if (sign != '*' && sign != '+' && sign != '?')
            break;
        c->at++;
        if (sign == '+') {
            struct instruction *back = emit(c, P_SPLIT);
            is_good = back != NULL;
            if (is_good) {
                back->to[0] = start;
                back->to[1] = c->count;
            }
            continue;
        }
        is_good = insert(c, start, split);
        if (is_good && sign == '*') {
            struct instruction *back = emit(c, P_JUMP);
            is_good = back != NULL;
            if (is_good)
                back->to[0] = start;
        }
        c->program[start].to[0] = start + 1;
        c->program[start].to[1] = c->count;
    }
    return is_good;
}

static bool compile_all(struct compiler *c)
{
    while (more(c) && c->text.ptr[c->at] != '|' && c->text.ptr[c->at] != ')')
        if (!compile_repeat(c))
            return false;
    return true;
}

static bool compile_any(struct compiler *c)
{
    uint32_t start = c->count;
    uint32_t jumps[PATTERN_BYTES_MAX];
    uint32_t jump_count = 0;

    if (!compile_all(c))
        return false;
    while (more(c) && c->text.ptr[c->at] == '|') {
        struct instruction split = { .op = P_SPLIT };
        c->at++;
        if (!insert(c, start, split) || !emit(c, P_JUMP))
            return false;
        jumps[jump_count++] = c->count - 1;
        c->program[start].to[0] = start + 1;
        c->program[start].to[1] = c->count;
        start = c->count;
        if (!compile_all(c))
            return false;
    }
    /* Insertions since then moved nothing before `start`, so the jumps still stand. */
    for (uint32_t i = 0; i < jump_count; i++)
        c->program[jumps[i]].to[0] = c->count;
    return true;
}

static const char *compile(struct compiler *c)
{
    if (c->text.len > PATTERN_BYTES_MAX)
        return "the pattern is too long";
    if (!compile_any(c))
        return c->problem;
    if (more(c))
        return "a ) was never opened";
    return emit(c, P_FOUND) ? NULL : c->problem;
}

const char *pattern_problem(struct bytes text)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct compiler compiler = { .text = text };
    compiler.program = arena_calloc(&arena, PROGRAM_MAX, sizeof *compiler.program);
    const char *problem = compiler.program ? compile(&compiler) : NULL;
    arena_done(&arena);
    return problem;
}

struct pattern *pattern_new(struct bytes text, struct arena *arena)
{
    struct compiler compiler = { .text = text };
    struct pattern *pattern = arena_calloc(arena, 1, sizeof *pattern);

    compiler.program = arena_calloc(arena, PROGRAM_MAX, sizeof *compiler.program);
    if (!pattern || !compiler.program || compile(&compiler))
        return NULL;
    pattern->program = compiler.program;
    pattern->count = compiler.count;
    pattern->now = arena_calloc(arena, bits_words(compiler.count), sizeof *pattern->now);
    pattern->next = arena_calloc(arena, bits_words(compiler.count), sizeof *pattern->next);
    pattern->stack = arena_calloc(arena, compiler.count * 2 + 1, sizeof *pattern->stack);
    return pattern->now && pattern->next && pattern->stack ? pattern : NULL;
}

/* --- running --------------------------------------------------------------------------- */

/* Adds `at` and what it leads to without taking a character. True: that's the end. */
static bool follow(struct pattern *pattern, uint64_t *set, uint32_t at, bool is_start, bool is_end)
{
    uint32_t depth = 0;
    pattern->stack[depth++] = at;
    while (depth > 0) {
        uint32_t pc = pattern->stack[--depth];
        const struct instruction *instruction = &pattern->program[pc];
        if (bits_has(set, pc))
            continue;
        bits_add(set, pc);
        if (instruction->op == P_FOUND)
            return true;
        if (instruction->op == P_JUMP || instruction->op == P_SPLIT)
            pattern->stack[depth++] = instruction->to[0];
        if (instruction->op == P_SPLIT)
            pattern->stack[depth++] = instruction->to[1];
        if ((instruction->op == P_START && is_start) || (instruction->op == P_END && is_end))
            pattern->stack[depth++] = pc + 1;
    }
    return false;
}

static bool takes(const struct instruction *instruction, uint32_t code)
{
    if (instruction->op == P_CHAR)
        return instruction->code == code;
    if (instruction->op == P_ANY)
        return true;
    if (instruction->op != P_CLASS)
        return false;
    bool is_in = code < 256 && bits_has(instruction->low, code);
    for (uint32_t i = 0; i + 1 < instruction->range_count; i += 2)
        is_in |= code >= instruction->range[i] && code <= instruction->range[i + 1];
    return is_in != instruction->is_inverted;
}

bool pattern_found(struct pattern *pattern, struct bytes text)
{
    size_t words = bits_words(pattern->count);
    size_t at = 0;

    memset(pattern->now, 0, words * sizeof *pattern->now);
    if (follow(pattern, pattern->now, 0, true, text.len == 0))
        return true;
    while (at < text.len) {
        uint32_t code = next_char(text, &at);
        bool is_end = at == text.len;
        memset(pattern->next, 0, words * sizeof *pattern->next);
        for (uint32_t pc = 0; pc < pattern->count; pc++)
            if (bits_has(pattern->now, pc) && takes(&pattern->program[pc], code) &&
                follow(pattern, pattern->next, pc + 1, false, is_end))
                return true;
        if (follow(pattern, pattern->next, 0, false, is_end))
            return true;
        uint64_t *swapped = pattern->now;
        pattern->now = pattern->next;
        pattern->next = swapped;
    }
    return false;
}
