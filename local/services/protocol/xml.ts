/** Escapes text for an XML element. */
export const xmlText = (text: string): string =>
  text.replace(/[&<>"'\r]/g, (character) => `&#${character.charCodeAt(0)};`);

/** Content of an element: text, children by name (in order), or a list of such children. */
export type XmlContent = string | number | boolean | XmlElements;

/** Children by name; `undefined` leaves one out, a list repeats it. */
export interface XmlElements {
  readonly [name: string]: XmlContent | readonly XmlContent[] | undefined;
}

const element = (name: string, content: XmlContent): string =>
  `<${name}>${typeof content === 'object' ? xmlElements(content) : xmlText(String(content))}</${name}>`;

/** Writes elements one after the other. */
export const xmlElements = (elements: XmlElements): string =>
  Object.entries(elements)
    .flatMap(([name, content]) => {
      if (content === undefined) return [];
      return isList(content) ? content.map((one) => element(name, one)) : [element(name, content)];
    })
    .join('');

const isList = (content: XmlContent | readonly XmlContent[]): content is readonly XmlContent[] =>
  Array.isArray(content);

/** A document with one root element in a namespace. */
export const xmlDocument = (root: string, namespace: string, elements: XmlElements): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${namespace}">${xmlElements(elements)}</${root}>`;
