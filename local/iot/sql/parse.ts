import { callProblem, isFunction } from './functions.ts';
import { SqlError, type Token, tokenize } from './tokens.ts';

/** An expression of IoT SQL. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null | undefined }
  | { readonly kind: 'path'; readonly steps: readonly (string | number)[] }
  | { readonly kind: 'everything' }
  | { readonly kind: 'call'; readonly name: string; readonly arguments: readonly Expression[] }
  | { readonly kind: 'unary'; readonly operator: 'not' | '-'; readonly operand: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    };

export type BinaryOperator = 'or' | 'and' | '=' | '<>' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '%';

/** One item of the SELECT list: everything, or an expression under a name. */
export type SelectItem =
  | { readonly kind: 'all' }
  | { readonly kind: 'named'; readonly name: string; readonly expression: Expression };

/** A parsed rule statement. */
export interface Statement {
  readonly items: readonly SelectItem[];
  /** The topic filter of FROM; undefined when the rule is fed through Basic Ingest alone. */
  readonly from: string | undefined;
  readonly where: Expression | undefined;
}

/** Deeper nesting than any rule has, and far less than the stack takes. */
const MAX_DEPTH = 100;
/** Longest statement, in words and signs: a chain of operators is evaluated one inside the other. */
const MAX_TOKENS = 2000;

const NOT_EMULATED = new Set([
  'case',
  'exists',
  'in',
  'value',
  'get_thing_shadow',
  'set',
  'join',
  'group',
  'order',
  'having',
  'limit',
  'union',
]);

/**
 * Parses `SELECT ... FROM '...' [WHERE ...]`. Throws `SqlError`, which says where, for a mistake and for every part of
 * IoT SQL that is not emulated (nested SELECT, CASE, IN, EXISTS, SELECT VALUE, SET, array and object literals).
 * https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-reference.html
 */
export function parseStatement(sql: string): Statement {
  const parser = new Parser(tokenize(sql));
  const statement = parser.statement();
  parser.finish();
  return statement;
}

/** Parses one expression, as it stands in a substitution template `${...}`. */
export function parseExpression(sql: string): Expression {
  const parser = new Parser(tokenize(sql));
  const expression = parser.expression();
  parser.finish();
  return expression;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    if (tokens.length > MAX_TOKENS) throw new SqlError('The statement is too long', 0);
    this.#tokens = tokens;
  }

  statement(): Statement {
    this.#keyword('select');
    const items = [this.#item()];
    while (this.#sign(',')) items.push(this.#item());
    const from = this.#isKeyword('from') ? this.#from() : undefined;
    let where: Expression | undefined;
    if (this.#isKeyword('where')) {
      this.#keyword('where');
      where = this.expression();
    }
    return { items, from, where };
  }

  expression(): Expression {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new SqlError('The expression is nested too deeply', this.#peek().at);
    const expression = this.#or();
    this.#depth -= 1;
    return expression;
  }

  finish(): void {
    const token = this.#peek();
    if (token.kind !== 'end') throw new SqlError(`${describe(token)} is not emulated here`, token.at);
  }

  #item(): SelectItem {
    const token = this.#peek();
    if (token.kind === 'sign' && token.text === '*') {
      this.#at += 1;
      return { kind: 'all' };
    }
    const expression = this.expression();
    if (this.#isKeyword('as')) {
      this.#keyword('as');
      const name = this.#next();
      if (name.kind !== 'name' && name.kind !== 'string') throw new SqlError('AS needs a name', name.at);
      return { kind: 'named', name: name.text, expression };
    }
    const last = expression.kind === 'path' ? expression.steps.at(-1) : undefined;
    if (typeof last !== 'string') throw new SqlError('This item of the SELECT list needs a name: AS <name>', token.at);
    return { kind: 'named', name: last, expression };
  }

  #from(): string {
    this.#keyword('from');
    const token = this.#next();
    if (token.kind !== 'string') throw new SqlError('FROM needs a topic filter in quotes', token.at);
    return token.text;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#isKeyword('or')) {
      this.#at += 1;
      left = { kind: 'binary', operator: 'or', left, right: this.#and() };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#isKeyword('and')) {
      this.#at += 1;
      left = { kind: 'binary', operator: 'and', left, right: this.#not() };
    }
    return left;
  }

  #not(): Expression {
    let negations = 0;
    while (this.#isKeyword('not')) {
      this.#at += 1;
      negations += 1;
    }
    const operand = this.#comparison();
    // Two negations are the truth value of the operand, so one of the two forms is enough.
    if (negations === 0) return operand;
    const once: Expression = { kind: 'unary', operator: 'not', operand };
    return negations % 2 === 1 ? once : { kind: 'unary', operator: 'not', operand: once };
  }

  #comparison(): Expression {
    const left = this.#sum();
    for (const operator of ['=', '<>', '<=', '>=', '<', '>'] as const) {
      if (this.#sign(operator)) return { kind: 'binary', operator, left, right: this.#sum() };
    }
    return left;
  }

  #sum(): Expression {
    let left = this.#product();
    for (;;) {
      const operator = this.#sign('+') ? '+' : this.#sign('-') ? '-' : undefined;
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: this.#product() };
    }
  }

  #product(): Expression {
    let left = this.#operand();
    for (;;) {
      const operator = this.#sign('*') ? '*' : this.#sign('/') ? '/' : this.#sign('%') ? '%' : undefined;
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: this.#operand() };
    }
  }

  #operand(): Expression {
    const token = this.#next();
    if (token.kind === 'string') return { kind: 'literal', value: token.text };
    if (token.kind === 'number') return { kind: 'literal', value: token.value };
    if (token.kind === 'sign' && token.text === '(') {
      const inner = this.expression();
      this.#expect(')');
      return inner;
    }
    if (token.kind === 'sign' && token.text === '-') {
      const number = this.#next();
      if (number.kind !== 'number') throw new SqlError('A number must follow the minus sign', number.at);
      return { kind: 'literal', value: -number.value };
    }
    if (token.kind !== 'name') throw new SqlError(`Unexpected ${describe(token)}`, token.at);
    return this.#named(token);
  }

  #named(token: Extract<Token, { kind: 'name' }>): Expression {
    const word = token.text.toLowerCase();
    if (this.#sign('(')) return this.#call(token, word);
    if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' };
    if (word === 'null') return { kind: 'literal', value: null };
    if (word === 'undefined') return { kind: 'literal', value: undefined };
    if (word === 'select' || NOT_EMULATED.has(word)) throw new SqlError(`${token.text} is not emulated`, token.at);
    const steps: (string | number)[] = [token.text];
    for (;;) {
      if (this.#sign('.')) {
        const step = this.#next();
        if (step.kind !== 'name') throw new SqlError('A name must follow the dot', step.at);
        steps.push(step.text);
      } else if (this.#sign('[')) {
        const step = this.#next();
        if (step.kind !== 'number' || !Number.isInteger(step.value))
          throw new SqlError('A whole number must stand in [ ]', step.at);
        steps.push(step.value);
        this.#expect(']');
      } else return { kind: 'path', steps };
    }
  }

  #call(token: Extract<Token, { kind: 'name' }>, name: string): Expression {
    if (!isFunction(name)) throw new SqlError(`Function ${token.text} is not emulated`, token.at);
    const list: Expression[] = [];
    if (!this.#sign(')')) {
      do list.push(this.#argument(name, list.length));
      while (this.#sign(','));
      this.#expect(')');
    }
    const problem = callProblem(
      name,
      list.length,
      list.map((argument) => (argument.kind === 'literal' ? argument.value : undefined)),
    );
    if (problem !== undefined) throw new SqlError(`${token.text}: ${problem}`, token.at);
    return { kind: 'call', name, arguments: list };
  }

  #argument(name: string, index: number): Expression {
    const token = this.#peek();
    if (name === 'encode' && index === 0 && token.kind === 'sign' && token.text === '*') {
      this.#at += 1;
      return { kind: 'everything' };
    }
    return this.expression();
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', at: 0 };
  }

  #next(): Token {
    const token = this.#peek();
    if (token.kind === 'end') throw new SqlError('The statement ends too early', token.at);
    this.#at += 1;
    return token;
  }

  #isKeyword(word: string): boolean {
    const token = this.#peek();
    return token.kind === 'name' && token.text.toLowerCase() === word;
  }

  #keyword(word: string): void {
    const token = this.#peek();
    if (!this.#isKeyword(word)) throw new SqlError(`${word.toUpperCase()} is missing`, token.at);
    this.#at += 1;
  }

  #sign(text: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'sign' || token.text !== text) return false;
    this.#at += 1;
    return true;
  }

  #expect(text: string): void {
    const token = this.#peek();
    if (!this.#sign(text)) throw new SqlError(`${text} is missing`, token.at);
  }
}

function describe(token: Token): string {
  if (token.kind === 'end') return 'the end';
  return token.kind === 'number' ? String(token.value) : JSON.stringify(token.text);
}
