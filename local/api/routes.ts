/** A route that matched a request. */
export interface RouteMatch<T> {
  readonly route: T;
  readonly pathParameters: Readonly<Record<string, string>>;
}

interface Pattern<T> {
  readonly method: string;
  readonly segments: readonly string[];
  readonly route: T;
}

/**
 * Routes by method and path template: `{name}` stands for one segment, `{name+}` for the rest. As in API Gateway a literal
 * segment wins over a variable, a variable over the rest, and a method over `ANY`.
 */
export class RouteTable<T> {
  readonly #patterns: Pattern<T>[] = [];

  /** Adds a route; `method` may be `ANY`. */
  add(method: string, path: string, route: T): void {
    this.#patterns.push({ method, segments: segmentsOf(path), route });
    this.#patterns.sort((a, b) => rank(b).localeCompare(rank(a)));
  }

  /** The most specific route for this request. */
  match(method: string, path: string): RouteMatch<T> | undefined {
    const segments = segmentsOf(path);
    for (const pattern of this.#patterns) {
      if (pattern.method !== 'ANY' && pattern.method !== method) continue;
      const pathParameters = matchSegments(pattern.segments, segments);
      if (pathParameters !== undefined) return { route: pattern.route, pathParameters };
    }
    return undefined;
  }

  /** Whether some route has this path, whatever its method. */
  hasPath(path: string): boolean {
    const segments = segmentsOf(path);
    return this.#patterns.some((pattern) => matchSegments(pattern.segments, segments) !== undefined);
  }
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment, index, all) => segment !== '' || (index > 0 && index < all.length - 1));
}

/** Sorts patterns: higher is more specific. */
function rank<T>(pattern: Pattern<T>): string {
  const kinds = pattern.segments.map((segment) => (segment.endsWith('+}') ? '0' : segment.startsWith('{') ? '1' : '2'));
  return `${kinds.join('')}${pattern.method === 'ANY' ? '' : '9'}`;
}

function matchSegments(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const parameters: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const rest = /^\{(.+)\+\}$/.exec(expected)?.[1];
    if (rest !== undefined) {
      if (index >= segments.length) return undefined;
      parameters[rest] = segments.slice(index).map(decode).join('/');
      return parameters;
    }
    const actual = segments[index];
    if (actual === undefined) return undefined;
    const variable = /^\{(.+)\}$/.exec(expected)?.[1];
    if (variable !== undefined) parameters[variable] = decode(actual);
    else if (expected !== actual) return undefined;
  }
  return pattern.length === segments.length ? parameters : undefined;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    if (error instanceof URIError) return segment;
    throw error;
  }
}
