/** Whether a reader may look at what happens at a site. */
export type ReadsSite = (siteId: string) => boolean;

/** Ids of sites, as `shared/places` makes them. */
const siteIds = /\bs-[0-9a-z]{26}\b/g;
const namedSites = /(?:\bsite:)?\b(s-[0-9a-z]{26})\b/g;

/** The sentence without the ids of sites that the reader may not look at. */
export const withoutOtherSites = (sentence: string, readsSite: ReadsSite): string =>
  sentence.replace(namedSites, (named: string, siteId: string) => (readsSite(siteId) ? named : 'another site'));

/** Whether a stratum (`hardware:B`, `site:s-…`; of a comparison `s-…/B/T2`) is of a site that the reader may look at, or of none. */
export const isVisible = (stratum: string, readsSite: ReadsSite): boolean =>
  (stratum.match(siteIds) ?? []).every((siteId) => readsSite(siteId));
