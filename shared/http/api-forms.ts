/** All our ids and serial-free path segments have this form; anything else names nothing. */
export const idForm = /^[A-Za-z0-9][A-Za-z0-9-]{0,79}$/;

/** The form of an `Idempotency-Key`: visible ASCII characters. */
export const idempotencyKeyForm = /^[!-~]{1,128}$/;
