import fc from 'fast-check';

// The same inputs in every run: a failure that one machine sees can be repeated on another.
fc.configureGlobal({ seed: 20_270_314 });
