/** Arithmetic over the series of a trend: `A / B * 100`, with + - * / and brackets. */

type Node =
  | { kind: 'number'; value: number }
  | { kind: 'series'; index: number }
  | { kind: 'negate'; of: Node }
  | { kind: 'binary'; op: string; left: Node; right: Node };

export type Parsed = { ok: true; node: Node } | { ok: false; error: string };

export function parseFormula(text: string, series: number): Parsed {
  const tokens = text.match(/\d+(?:\.\d+)?|[A-Za-z]|[-+*/()]|\S/g) ?? [];
  let at = 0;

  const primary = (): Node => {
    const token = tokens[at++];
    if (token === undefined) throw new Error('The formula ends too early.');
    if (/^\d/.test(token)) return { kind: 'number', value: Number(token) };
    if (/^[A-Za-z]$/.test(token)) {
      const index = token.toUpperCase().charCodeAt(0) - 65;
      if (index >= series) throw new Error(`There is no series ${token.toUpperCase()}.`);
      return { kind: 'series', index };
    }
    if (token === '-') return { kind: 'negate', of: primary() };
    if (token === '(') {
      const inner = sum();
      if (tokens[at++] !== ')') throw new Error('A bracket is not closed.');
      return inner;
    }
    throw new Error(`"${token}" is not expected here.`);
  };
  const chain = (next: () => Node, ops: string): Node => {
    let left = next();
    while (tokens[at] !== undefined && ops.includes(tokens[at] as string)) {
      const op = tokens[at++] as string;
      left = { kind: 'binary', op, left, right: next() };
    }
    return left;
  };
  const product = (): Node => chain(primary, '*/');
  const sum = (): Node => chain(product, '+-');

  try {
    const node = sum();
    if (at < tokens.length) throw new Error(`"${tokens[at]}" is not expected here.`);
    return { ok: true, node };
  } catch (error) {
    return { ok: false, error: (error as Error).message };
  }
}

/** A division by zero, or by nothing, has no value. */
export function evaluate(node: Node, values: (number | null)[]): number | null {
  switch (node.kind) {
    case 'number':
      return node.value;
    case 'series':
      return values[node.index] ?? null;
    case 'negate': {
      const value = evaluate(node.of, values);
      return value === null ? null : -value;
    }
    case 'binary': {
      const left = evaluate(node.left, values);
      const right = evaluate(node.right, values);
      if (left === null || right === null) return null;
      if (node.op === '+') return left + right;
      if (node.op === '-') return left - right;
      if (node.op === '*') return left * right;
      return right === 0 ? null : left / right;
    }
  }
}
