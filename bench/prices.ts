/**
 * Prices in US dollars, us-east-1, on demand, without free tier, as published by AWS on 2026-09-01
 * (https://aws.amazon.com/<service>/pricing). `perMillion` unless the name says otherwise.
 */
export const prices = {
  dynamoDb: { writeUnit: 0.625, readUnit: 0.125 },
  lambda: { request: 0.2, gigabyteSecondArm: 13.3334 },
  httpApi: [
    { upTo: 300e6, price: 1.0 },
    { upTo: Number.POSITIVE_INFINITY, price: 0.9 },
  ],
  iot: {
    connectionMinute: 0.08,
    messages: [
      { upTo: 1e9, price: 1.0 },
      { upTo: 5e9, price: 0.8 },
      { upTo: Number.POSITIVE_INFINITY, price: 0.7 },
    ],
    /** A message of more than this many bytes counts as several. */
    messageBytes: 5 * 1024,
    ruleTrigger: 0.15,
    ruleAction: 0.15,
  },
  sqs: { request: 0.4 },
  stepFunctions: { transition: 25 },
  xray: { trace: 5 },
  logs: { perGigabyte: 0.5 },
} as const;

/** What `count` units cost in dollars when the price falls with the volume of the whole account in a month. */
export function tiered(tiers: readonly { readonly upTo: number; readonly price: number }[], count: number): number {
  let cost = 0;
  let from = 0;
  for (const { upTo, price } of tiers) {
    cost += (Math.max(0, Math.min(count, upTo) - from) / 1e6) * price;
    from = upTo;
  }
  return cost;
}
