// A part of the page of ProteinPanel: sampling.

export {};
