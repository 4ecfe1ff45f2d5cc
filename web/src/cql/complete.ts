import type { Completion, CompletionContext, CompletionResult, CompletionSource } from '@codemirror/autocomplete';
import { eventProperties, type Subject } from '@/builder/properties';
import { compact } from '@/lib/format';
import type { Catalog } from '@/lib/types';
import type { Value } from '@/lib/values';
import { functions, keywords, nameText, phrases, stringText, units } from './words';

export interface Values {
  (subject: Subject, prefix: string): Promise<Value[]>;
}

const comparison = /(profile\s*\.\s*)?(?:"([^"]+)"|([A-Za-z_][A-Za-z0-9_]*))\s*(?:=|!=|<>|IN\s*\(|(?:NOT\s+)?CONTAINS|STARTS\s+WITH|ENDS\s+WITH)\s*(?:'[^']*'\s*,\s*)*$/i;

/** What may stand at the cursor: names from the catalog, values from the server, words of the language. */
export function completion(catalog: () => Catalog | undefined, values: Values): CompletionSource {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const before = context.state.doc.sliceString(Math.max(0, context.pos - 2000), context.pos);
    const open = openString(before);
    if (open !== null) return inString(context, before, open, catalog(), values);
    const quoted = /"([^"]*)$/.exec(before);
    const found = context.matchBefore(/[A-Za-z_][A-Za-z0-9_.]*/);
    if (!quoted && !found && !context.explicit) return null;
    const from = quoted ? context.pos - quoted[0].length : found?.from ?? context.pos;
    const asEvent = /\b(THEN|FUNNEL|RETURNING|OF(\s+FIRST)?|DID|EXCLUDING|FLOW\s+(FROM|TO)|HIDE|KEEP|EXPAND)\s*$/i.test(before.slice(0, before.length - (context.pos - from)));
    return { from, options: [...(asEvent ? events(catalog()) : []), ...names(catalog()), ...words()], validFor: /^"?[\w .]*$/ };
  };
}

/** Where the string that the cursor is in begins, if it is in one; quotes inside of names don't count. */
function openString(before: string): number | null {
  let quote = '';
  let start = 0;
  for (let index = 0; index < before.length; index++) {
    const letter = before[index] as string;
    if (quote === '' && (letter === "'" || letter === '"')) {
      quote = letter;
      start = index;
    } else if (letter === quote) {
      quote = '';
    }
  }
  return quote === "'" ? start : null;
}

function events(catalog: Catalog | undefined): Completion[] {
  return [...(catalog?.events ?? [])]
    .sort((a, b) => b.count - a.count)
    .map((event, index) => ({ label: stringText(event.name), type: 'event', detail: compact(event.count), boost: 60 - index }));
}

async function inString(
  context: CompletionContext, before: string, open: number, catalog: Catalog | undefined, values: Values,
): Promise<CompletionResult> {
  const from = context.pos - (before.length - open);
  const close = context.state.doc.sliceString(context.pos, context.pos + 1) === "'" ? context.pos + 1 : context.pos;
  const apply = (text: string): Completion['apply'] => (view) => {
    view.dispatch({ changes: { from, to: Math.max(close, view.state.selection.main.head), insert: text }, selection: { anchor: from + text.length } });
  };
  const subject = comparison.exec(before.slice(0, open));
  const name = subject?.[2] ?? subject?.[3];
  if (subject && name && name.toLowerCase() !== 'event') {
    const typed = before.slice(open + 1);
    const found = await values({ on: subject[1] ? 'profile' : 'event', name }, typed).catch(() => []);
    return {
      from, filter: false,
      options: found
        .filter((item) => item.value !== null && typeof item.value !== 'object')
        .map((item) => ({ label: stringText(String(item.value)), type: 'value', detail: compact(item.count), apply: apply(stringText(String(item.value))) })),
    };
  }
  return { from, options: events(catalog).map((option) => ({ ...option, apply: apply(option.label) })), validFor: /^'[^']*$/ };
}

function names(catalog: Catalog | undefined): Completion[] {
  return [
    ...eventProperties(catalog, []).map((property) => ({ label: nameText(property.name), type: 'property', detail: property.types.join(', '), boost: 20 })),
    ...(catalog?.profile_properties ?? []).map((property) => ({ label: `profile.${nameText(property.name)}`, type: 'profile', detail: property.types.join(', '), boost: 10 })),
  ];
}

function words(): Completion[] {
  return [
    ...functions.map((name) => ({ label: `${name}(`, type: 'function', apply: ['count', 'users', 'sessions'].includes(name) ? `${name}()` : `${name}(`, boost: 5 })),
    ...keywords.map((label) => ({ label, type: 'keyword' })),
    ...phrases.map((label) => ({ label, type: 'keyword', boost: -5 })),
    ...units.filter((unit) => !unit.endsWith('s')).map((label) => ({ label, type: 'keyword', boost: -1 })),
  ];
}
