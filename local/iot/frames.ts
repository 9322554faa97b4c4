/**
 * The two MQTT 3.1.1 packets that the broker library cannot send as AWS does: a CONNACK with code 7, and a PUBLISH to
 * one client outside its subscriptions under a packet identifier of our choice.
 */

/** CONNACK that refuses. `returnCode` 7 is what AWS IoT Core answers where policies say no. */
export function connackFrame(returnCode: number): Buffer {
  return Buffer.from([0x20, 0x02, 0x00, returnCode]);
}

/** PUBLISH with QoS 1. */
export function publishFrame(topic: string, payload: Buffer, messageId: number): Buffer {
  const name = Buffer.from(topic);
  const variable = Buffer.alloc(2 + name.length + 2);
  variable.writeUInt16BE(name.length, 0);
  name.copy(variable, 2);
  variable.writeUInt16BE(messageId, 2 + name.length);
  return Buffer.concat([Buffer.from([0x32, ...remainingLength(variable.length + payload.length)]), variable, payload]);
}

/** Seven bits a byte, lowest first; the top bit says that more follow. */
function remainingLength(length: number): number[] {
  const bytes: number[] = [];
  let rest = length;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}
