"""The human study: a page on which people rank methods, and what their votes say (mean opinion rank, Aakerberg 2021)."""
