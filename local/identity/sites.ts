import type { DemoUser } from './users.ts';

/** Looks up the ids of sites by their names. */
export type SiteLookup = (names: readonly string[]) => Promise<string[]>;

/**
 * Site ids are drawn when a site is created, so the provider asks the management API for them whenever it issues a
 * token to a user who is limited to sites. `administratorToken` makes the token that it asks with. A site that does
 * not exist (yet) gives no id, and its users no permission.
 */
export function siteLookup(apiUrl: string, administratorToken: () => Promise<string>): SiteLookup {
  return async (names) => {
    const wanted = new Set(names);
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const url = new URL(`${apiUrl}/sites`);
      url.searchParams.set('limit', '100');
      if (cursor !== undefined) url.searchParams.set('cursor', cursor);
      const response = await fetch(url, {
        headers: { authorization: `Bearer ${await administratorToken()}` },
        signal: AbortSignal.timeout(10_000),
      });
      if (!response.ok) throw new Error(`the management API answered ${response.status} to a list of the sites`);
      const page = parsePage(await response.json());
      for (const site of page.items) {
        if (wanted.has(site.name)) ids.push(site.id);
      }
      cursor = page.next;
    } while (cursor !== undefined);
    return ids;
  };
}

/** The ids for a user: none are looked up for one who is not limited to sites. */
export function siteIdsOf(user: DemoUser, lookup: SiteLookup): Promise<string[]> {
  return user.sites === '*' || user.sites.length === 0 ? Promise.resolve([]) : lookup(user.sites);
}

function parsePage(value: unknown): { items: { id: string; name: string }[]; next?: string } {
  if (typeof value !== 'object' || value === null || !('items' in value) || !Array.isArray(value.items)) {
    throw new Error('the management API answered something that is not a list of sites');
  }
  const items = value.items.flatMap((item: unknown) =>
    typeof item === 'object' &&
    item !== null &&
    'id' in item &&
    'name' in item &&
    typeof item.id === 'string' &&
    typeof item.name === 'string'
      ? [{ id: item.id, name: item.name }]
      : [],
  );
  return 'next' in value && typeof value.next === 'string' ? { items, next: value.next } : { items };
}
