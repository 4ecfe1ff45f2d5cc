/*
 * embed.h - the library's own door inside the building: include/kolam.h, built on the engine.
 *
 * No rule of the product lives here: events go through `ingest`, as a line of a file does, and
 * questions through `query`.
 */
#ifndef EMBED_EMBED_H
#define EMBED_EMBED_H

#include <kolam.h>

#endif
