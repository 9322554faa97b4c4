import { AwsError, type Json } from '../cloud.ts';

/** A JSON object. */
export type JsonObject = { [key: string]: Json };

/** Whether a JSON value is an object (not a list, not null). */
export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads a JSON object whose shape nobody has checked: the input of an AWS operation, or the properties of a resource.
 * CloudFormation writes numbers and booleans as text as well, so both forms are taken. What does not fit is an
 * AwsError `ValidationException` that names the field.
 */
export class Fields {
  readonly raw: Readonly<JsonObject>;
  readonly #where: string;

  constructor(raw: Readonly<JsonObject>, where = '') {
    this.raw = raw;
    this.#where = where;
  }

  /** Parses a request body; an empty body is an empty object. */
  static parse(body: Buffer | string): Fields {
    const text = body.toString();
    if (text === '') return new Fields({});
    let value: Json;
    try {
      value = JSON.parse(text) as Json;
    } catch {
      throw new AwsError('SerializationException', 'The request body is not JSON');
    }
    if (!isObject(value)) throw new AwsError('SerializationException', 'The request body is not a JSON object');
    return new Fields(value);
  }

  has(name: string): boolean {
    const value = this.raw[name];
    return value !== undefined && value !== null;
  }

  optionalText(name: string): string | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw[name];
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw this.#wrong(name, 'text');
  }

  text(name: string): string {
    return this.optionalText(name) ?? this.#missing(name);
  }

  optionalNumber(name: string): number | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw[name];
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
    throw this.#wrong(name, 'a number');
  }

  number(name: string): number {
    return this.optionalNumber(name) ?? this.#missing(name);
  }

  /** Absent is `false`. */
  flag(name: string): boolean {
    if (!this.has(name)) return false;
    const value = this.raw[name];
    if (value === true || value === 'true') return true;
    if (value === false || value === 'false') return false;
    throw this.#wrong(name, 'true or false');
  }

  optionalObject(name: string): Fields | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw[name];
    if (isObject(value)) return new Fields(value, this.#path(name));
    throw this.#wrong(name, 'an object');
  }

  object(name: string): Fields {
    return this.optionalObject(name) ?? this.#missing(name);
  }

  /** Absent is an empty list. */
  list(name: string): Json[] {
    if (!this.has(name)) return [];
    const value = this.raw[name];
    if (Array.isArray(value)) return value;
    throw this.#wrong(name, 'a list');
  }

  /** Absent is an empty list. */
  texts(name: string): string[] {
    return this.list(name).map((value) => {
      if (typeof value === 'string') return value;
      throw this.#wrong(name, 'a list of texts');
    });
  }

  /** Absent is an empty list. */
  objects(name: string): Fields[] {
    return this.list(name).map((value, index) => {
      if (isObject(value)) return new Fields(value, `${this.#path(name)}[${index}]`);
      throw this.#wrong(name, 'a list of objects');
    });
  }

  #path(name: string): string {
    return this.#where === '' ? name : `${this.#where}.${name}`;
  }

  #wrong(name: string, expected: string): AwsError {
    return new AwsError('ValidationException', `${this.#path(name)} must be ${expected}`);
  }

  #missing(name: string): never {
    throw new AwsError('ValidationException', `${this.#path(name)} is missing`);
  }
}
