import { javaCommand, javaMajorVersion, javaProblem } from '../../../../../local/services/dynamodb/java.ts';

test.each([
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['java version "1.8.0_402"', 8],
  ['openjdk version "25-ea" 2025-09-16', 25],
  ['The operation couldn’t be completed. Unable to locate a Java Runtime.', undefined],
])('%s', (printed, version) => {
  expect(javaMajorVersion(printed)).toBe(version);
});

test('JAVA_HOME comes before PATH', () => {
  expect(javaCommand({ JAVA_HOME: '/opt/java' })).toBe('/opt/java/bin/java');
  expect(javaCommand({ JAVA_HOME: '' })).toBe('java');
  expect(javaCommand({})).toBe('java');
});

test('what is missing or no Java is said in one sentence that says what to do', () => {
  expect(javaProblem('/nowhere/java')?.message).toMatch(
    /^Java 17 or newer is needed for DynamoDB Local, but "\/nowhere\/java" cannot be started: install/,
  );
  expect(javaProblem(process.execPath)?.message).toContain('is not a Java runtime');
});
