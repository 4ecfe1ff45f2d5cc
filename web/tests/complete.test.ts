import { CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { EditorState } from '@codemirror/state';
import { describe, expect, it } from 'vitest';
import { completion } from '@/cql/complete';
import type { Catalog } from '@/lib/types';

const catalog: Catalog = {
  events: [
    { name: 'Charged', count: 5, properties: [{ name: 'Store ID', types: ['string'], count: 5 }, { name: "Buyer's note", types: ['string'], count: 1 }] },
    { name: 'Viewed', count: 9, properties: [{ name: 'Price', types: ['float'], count: 9 }] },
  ],
  profile_properties: [{ name: 'city', types: ['string'], count: 3 }],
};
const asked: unknown[] = [];
const source = completion(() => catalog, (subject, prefix) => {
  asked.push([subject, prefix]);
  return Promise.resolve([{ value: 'Pune', count: 3 }]);
});

/** The labels offered where the | stands. */
async function offered(text: string, explicit = false): Promise<string[]> {
  const pos = text.indexOf('|');
  const state = EditorState.create({ doc: text.replace('|', '') });
  const result = (await source(new CompletionContext(state, pos, explicit))) as CompletionResult | null;
  return (result?.options ?? []).map((option) => option.label);
}

describe('completion', () => {
  it('offers events after the words that take one, the most frequent first', async () => {
    expect((await offered('FUNNEL |', true)).slice(0, 2)).toEqual(["'Viewed'", "'Charged'"]);
    for (const before of ['FLOW FROM |', 'FLOW TO |', "FLOW FROM 'Viewed' HIDE |", "FLOW FROM 'Viewed' EXPAND |"])
      expect((await offered(before, true)).slice(0, 2)).toEqual(["'Viewed'", "'Charged'"]);
    expect(await offered("FLOW FROM 'Viewed' STEPS 3 COL|")).toContain('COLLAPSE');
    expect(await offered("FUNNEL 'Viewed' THEN '|'")).toEqual(["'Viewed'", "'Charged'"]);
    expect(await offered("SELECT count() FROM events WHERE event = 'C|")).toEqual(["'Viewed'", "'Charged'"]);
  });

  it('offers names in the quotes that they need, and those of profiles with their prefix', async () => {
    const labels = await offered('SELECT sum(P|');
    expect(labels).toEqual(expect.arrayContaining(['Price', '"Store ID"', 'profile.city', 'SELECT', 'count(']));
  });

  it('asks the server for the values of the property before it', async () => {
    expect(await offered("… WHERE profile.city = 'Pu|'")).toEqual(["'Pune'"]);
    expect(asked.at(-1)).toEqual([{ on: 'profile', name: 'city' }, 'Pu']);
    await offered('… WHERE "Store ID" IN (\'a\', \'|\')');
    expect(asked.at(-1)).toEqual([{ on: 'event', name: 'Store ID' }, '']);
  });

  it('is not misled by quotes within names', async () => {
    expect(await offered('SELECT count() FROM events GROUP BY "Buyer\'s note", Pri|')).toContain('Price');
  });

  it('stays out of the way where nothing was typed', async () => {
    expect(await offered('SELECT count() |')).toEqual([]);
  });
});
