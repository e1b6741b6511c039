//! How fast the suite could be: the request ceiling of a browser.
