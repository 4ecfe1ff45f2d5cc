import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { setDiagnostics } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import type { Catalog } from '@/lib/types';
import { completion, type Values } from './complete';
import { functions, keywords, units, type Fault } from './words';

const words = new Map<string, string>([
  ...units.map((word): [string, string] => [word, 'atom']),
  ...keywords.map((word): [string, string] => [word.toLowerCase(), 'keyword']),
  ...functions.map((word): [string, string] => [word, 'function']),
]);

const language = StreamLanguage.define<null>({
  name: 'cql',
  tokenTable: { function: tags.function(tags.variableName) },
  languageData: { commentTokens: { line: '--' }, closeBrackets: { brackets: ['(', "'", '"'] } },
  token(stream) {
    if (stream.eatSpace()) return null;
    if (stream.match(/^--.*/)) return 'comment';
    if (stream.match(/^'(?:[^']|'')*'?/)) return 'string';
    if (stream.match(/^"(?:[^"]|"")*"?/)) return 'variableName';
    if (stream.match(/^\d+(?:\.\d+)?/)) return 'number';
    if (stream.match(/^profile\s*\./i)) return 'propertyName';
    const word = stream.match(/^[A-Za-z_][A-Za-z0-9_]*/);
    if (word && word !== true) {
      const kind = words.get(word[0].toLowerCase());
      const called = stream.match(/^\s*\(/, false);
      return kind === 'function' || (kind === 'keyword' && called && functions.some((name) => name === word[0].toLowerCase())) ? (called ? 'function' : 'keyword') : kind ?? 'variableName';
    }
    if (stream.match(/^[=<>!]+/)) return 'operator';
    stream.next();
    return null;
  },
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--cql-keyword)', fontWeight: '500' },
  { tag: tags.string, color: 'var(--cql-string)' },
  { tag: tags.number, color: 'var(--cql-number)' },
  { tag: tags.atom, color: 'var(--cql-number)' },
  { tag: tags.function(tags.variableName), color: 'var(--cql-function)' },
  { tag: tags.propertyName, color: 'var(--muted)' },
  { tag: tags.comment, color: 'var(--muted)', fontStyle: 'italic' },
]);

const look = EditorView.theme({
  '&': { fontSize: '13.5px', backgroundColor: 'transparent', color: 'var(--text)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-content': { fontFamily: 'var(--font-mono)', padding: '12px 14px', minHeight: '104px', caretColor: 'var(--text)', lineHeight: '1.6' },
  '.cm-line': { padding: '0' },
  '.cm-scroller': { maxHeight: '320px', overflow: 'auto' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-placeholder': { color: 'var(--muted)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'color-mix(in srgb, var(--accent) 22%, transparent)',
  },
  '.cm-matchingBracket': { backgroundColor: 'var(--accent-soft) !important', outline: 'none' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--bad) 1.5px', textUnderlineOffset: '4px', backgroundColor: 'var(--bad-soft)' },
  '.cm-tooltip': { border: '1px solid var(--line)', borderRadius: '8px', backgroundColor: 'var(--panel)', color: 'var(--text)', boxShadow: 'var(--shadow-pop)', overflow: 'hidden' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--font-sans)', fontSize: '13px', maxHeight: '260px', padding: '4px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '4px 8px', borderRadius: '5px', display: 'flex', gap: '12px', alignItems: 'center' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--hover)', color: 'var(--text)' },
  '.cm-completionLabel': { flexGrow: '1' },
  '.cm-completionDetail': { color: 'var(--muted)', fontStyle: 'normal', fontSize: '12px', marginLeft: '0' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent)', fontWeight: '600' },
  '.cm-diagnostic-error': { borderLeft: '3px solid var(--bad)' },
});

export interface EditorProps {
  text: string;
  onChange: (text: string) => void;
  onRun: () => void;
  fault: Fault | null;
  catalog: Catalog | undefined;
  values: Values;
}

export default function Editor(props: EditorProps) {
  const element = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    if (!element.current) return;
    const made = new EditorView({
      parent: element.current,
      state: EditorState.create({
        doc: latest.current.text,
        extensions: [
          language, syntaxHighlighting(colours), look, history(), drawSelection(), bracketMatching(), closeBrackets(),
          autocompletion({
            override: [completion(() => latest.current.catalog, (subject, prefix) => latest.current.values(subject, prefix))],
            icons: false,
          }),
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run: () => (latest.current.onRun(), true) }])),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          placeholder("SELECT count(), users() FROM events GROUP BY day SINCE 30 days ago"),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': 'CQL query', spellcheck: 'false', autocapitalize: 'off' }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    made.focus();
    return () => made.destroy();
  }, []);

  useEffect(() => {
    const current = view.current;
    if (!current || current.state.doc.toString() === props.text) return;
    current.dispatch({ changes: { from: 0, to: current.state.doc.length, insert: props.text }, selection: { anchor: props.text.length } });
  }, [props.text]);

  useEffect(() => {
    const current = view.current;
    if (!current) return;
    const length = current.state.doc.length;
    const { fault } = props;
    const marks = fault && fault.from <= length
      ? [{ from: fault.from, to: Math.min(fault.to, length), severity: 'error' as const, message: fault.message }]
      : [];
    current.dispatch(setDiagnostics(current.state, marks));
    if (fault && marks.length > 0) current.dispatch({ selection: { anchor: Math.min(fault.to, length) }, scrollIntoView: true });
  }, [props.fault]);

  return <div ref={element} className="panel focus-within:border-accent" data-testid="cql-editor" />;
}
