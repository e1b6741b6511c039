//! Writes all mutants of a source file into one text, each behind a switch: `crate::mutated(n)`.

use std::collections::BTreeMap;
use std::ops::Range;

use proc_macro2::{LineColumn, Span};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::list::{Genre, Mutant};

/// A source file with every mutant that a switch can turn on.
pub(crate) struct Instrumented {
    pub(crate) text: String,
    /// Where each mutant's own text stands, and where all of its place stands, in bytes of the text.
    pub(crate) places: Vec<Place>,
    /// Deleted arms of matches that have none for everything else.
    pub(crate) needed: Vec<usize>,
    /// The mutants that no switch can turn on.
    pub(crate) left: Vec<usize>,
}

/// Where a mutant stands in an instrumented text.
pub(crate) struct Place {
    pub(crate) mutant: usize,
    /// What only runs with the mutant.
    pub(crate) own: Range<usize>,
    /// The expression, body or match arm that it changes.
    pub(crate) whole: Range<usize>,
}

/// What a mutant changes, and how a switch is written there.
enum Form {
    /// A function's body, left early.
    Body,
    /// An expression, chosen between the original and its mutants.
    Expression,
    /// The guard of a match arm.
    Guard,
    /// The end of a pattern without a guard: a deleted arm never matches.
    Pattern,
    /// The value of a field, taken from the base of the structure's expression.
    Field { base: Range<usize>, shorthand: Option<String>, name: String },
}

struct Site {
    range: Range<usize>,
    form: Form,
    mutants: Vec<usize>,
}

struct Finder<'a> {
    lines: Vec<usize>,
    text: &'a str,
    /// The mutants of this file that no place was found for yet, by where they begin and end.
    wanted: BTreeMap<(usize, usize), Vec<usize>>,
    all: &'a [Mutant],
    sites: Vec<Site>,
    needed: Vec<usize>,
    /// The words `const` before functions: a switch is not read at compile time.
    consts: Vec<Range<usize>>,
}

impl Finder<'_> {
    fn offset(&self, at: LineColumn) -> usize {
        let line = self.lines[at.line - 1];
        self.text[line..].char_indices().nth(at.column).map_or(self.text.len(), |(column, _)| line + column)
    }

    fn range(&self, span: Span) -> Range<usize> {
        self.offset(span.start())..self.offset(span.end())
    }

    fn take(&mut self, at: &Range<usize>, wanted: impl Fn(Genre) -> bool) -> Vec<usize> {
        let all = self.all;
        let Some(found) = self.wanted.get_mut(&(at.start, at.end)) else { return Vec::new() };
        found.extract_if(.., |&mut mutant| wanted(all[mutant].genre)).collect()
    }

    fn add(&mut self, range: Range<usize>, form: Form, mutants: Vec<usize>) {
        if !mutants.is_empty() {
            self.sites.push(Site { range, form, mutants });
        }
    }

    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        if let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) {
            let range = self.range(first.span()).start..self.range(last.span()).end;
            // A second type cannot stand for what `impl` hides.
            let hidden = matches!(&signature.output, syn::ReturnType::Type(_, kind) if self.text[self.range(kind.span())].contains("impl "));
            if !hidden {
                let mutants = self.take(&range, |genre| genre == Genre::FnValue);
                self.add(range, Form::Body, mutants);
            }
        }
        if let Some(word) = signature.constness {
            self.consts.push(self.range(word.span));
        }
    }
}

/// Whether an operand of `&&` binds names: such a chain is no expression on its own.
fn binds(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(chain) if matches!(chain.op, syn::BinOp::And(_)) => binds(&chain.left) || binds(&chain.right),
        _ => false,
    }
}

/// Whether a pattern takes any value.
fn takes_all(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Wild(_) => true,
        syn::Pat::Ident(name) => name.subpat.is_none() && name.ident.to_string().starts_with(char::is_lowercase),
        syn::Pat::Tuple(tuple) => tuple.elems.iter().all(takes_all),
        syn::Pat::Reference(inner) => takes_all(&inner.pat),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.body(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.body(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}

    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}

    fn visit_expr_binary(&mut self, expression: &'ast syn::ExprBinary) {
        if !binds(&syn::Expr::Binary(expression.clone())) {
            let at = self.range(expression.op.span());
            let mutants = self.take(&at, |genre| genre == Genre::BinaryOperator);
            self.add(self.range(expression.span()), Form::Expression, mutants);
        }
        visit::visit_expr_binary(self, expression);
    }

    fn visit_expr_unary(&mut self, expression: &'ast syn::ExprUnary) {
        let at = self.range(expression.op.span());
        let mutants = self.take(&at, |genre| genre == Genre::UnaryOperator);
        self.add(self.range(expression.span()), Form::Expression, mutants);
        visit::visit_expr_unary(self, expression);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        // Without such an arm the compiler wants each that has no guard.
        if !expression.arms.iter().any(|arm| arm.guard.is_none() && takes_all(&arm.pat)) {
            for arm in expression.arms.iter().filter(|arm| arm.guard.is_none()) {
                let mutants = self.take(&self.range(arm.span()), |genre| genre == Genre::MatchArm);
                self.needed.extend(mutants);
            }
        }
        visit::visit_expr_match(self, expression);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let whole = self.range(arm.span());
        let pattern = self.range(arm.pat.span());
        let is_arm = |genre| genre == Genre::MatchArm;
        match &arm.guard {
            Some((_, guard)) if binds(guard) => {}
            Some((_, guard)) => {
                let range = self.range(guard.span());
                let mut mutants = self.take(&range, |genre| genre == Genre::MatchArmGuard);
                mutants.extend(self.take(&whole, is_arm));
                self.add(range, Form::Guard, mutants);
            }
            None => {
                let mutants = self.take(&whole, is_arm);
                self.add(pattern.end..pattern.end, Form::Pattern, mutants);
            }
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, expression: &'ast syn::ExprStruct) {
        if let Some(base) = &expression.rest {
            let base = self.range(base.span());
            for field in &expression.fields {
                let at = self.range(field.span());
                let comma = at.start..at.end + usize::from(self.text[at.end..].starts_with(','));
                let is_field = |genre| genre == Genre::StructField;
                let mut mutants = self.take(&at, is_field);
                mutants.extend(self.take(&comma, is_field));
                let name = self.text[self.range(field.member.span())].to_owned();
                let shorthand = field.colon_token.is_none().then(|| name.clone());
                let form = Form::Field { base: base.clone(), shorthand, name };
                self.add(self.range(field.expr.span()), form, mutants);
            }
        }
        visit::visit_expr_struct(self, expression);
    }
}

/// Instruments a source file with those of all mutants that are named by their index.
///
/// # Errors
///
/// When the text is no Rust.
pub(crate) fn instrument(text: &str, all: &[Mutant], here: &[usize]) -> syn::Result<Instrumented> {
    let lines: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut finder =
        Finder { lines, text, wanted: BTreeMap::new(), all, sites: Vec::new(), needed: Vec::new(), consts: Vec::new() };
    for &mutant in here {
        let [start, end] = [all[mutant].span.start, all[mutant].span.end]
            .map(|at| finder.offset(LineColumn { line: at.line, column: at.column - 1 }));
        finder.wanted.entry((start, end)).or_default().push(mutant);
    }
    finder.visit_file(&syn::parse_file(text)?);
    let Finder { wanted, mut sites, needed, consts, .. } = finder;
    sites.sort_by_key(|site| (site.range.start, std::cmp::Reverse(site.range.end)));
    let mut writer = Writer { text, all, sites: &sites, consts: &consts, out: String::new(), places: Vec::new() };
    writer.write(0..text.len(), 0);
    Ok(Instrumented { text: writer.out, places: writer.places, needed, left: wanted.into_values().flatten().collect() })
}

struct Writer<'a> {
    text: &'a str,
    all: &'a [Mutant],
    sites: &'a [Site],
    consts: &'a [Range<usize>],
    out: String,
    places: Vec<Place>,
}

impl Writer<'_> {
    /// Writes a range of the original with the sites in it, from the one of this index on; the next index is returned.
    fn write(&mut self, range: Range<usize>, mut next: usize) -> usize {
        let mut at = range.start;
        while let Some(site) = self.sites.get(next).filter(|site| site.range.start >= at && site.range.end <= range.end)
        {
            self.original(at..site.range.start);
            at = site.range.end;
            next = self.site(next);
        }
        self.original(at..range.end);
        next
    }

    /// Writes the original without any site.
    fn original(&mut self, range: Range<usize>) {
        let mut at = range.start;
        for word in self.consts.iter().filter(|word| word.start >= range.start && word.end <= range.end) {
            self.out.push_str(&self.text[at..word.start]);
            at = word.end;
        }
        self.out.push_str(&self.text[at..range.end]);
    }

    /// Notes where a mutant's own text stands, which is written by a closure.
    fn own(&mut self, mutant: usize, write: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        write(self);
        let own = start..self.out.len();
        self.places.push(Place { mutant, own, whole: 0..0 });
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn site(&mut self, index: usize) -> usize {
        let Site { range, form, mutants } = &self.sites[index];
        let (begun, known) = (self.out.len(), self.places.len());
        let text = self.text;
        let next = match form {
            Form::Body => {
                for &mutant in mutants {
                    self.push(&format!("if crate::mutated({mutant}) {{ "));
                    let value = &self.all[mutant].replacement;
                    self.own(mutant, |writer| writer.push(&format!("return {value};")));
                    self.push(" } ");
                }
                self.write(range.clone(), index + 1)
            }
            Form::Expression => {
                self.push("(");
                for &mutant in mutants {
                    let at = self.all[mutant].bytes(text);
                    let (before, after) = (&text[range.start..at.start], &text[at.end..range.end]);
                    self.push(&format!("if crate::mutated({mutant}) {{ "));
                    let replacement = &self.all[mutant].replacement;
                    self.own(mutant, |writer| writer.push(&format!("{before}{replacement}{after}")));
                    self.push(" } else ");
                }
                self.push("{ ");
                let next = self.write(range.clone(), index + 1);
                self.push(" })");
                next
            }
            Form::Guard => {
                let (mut always, mut never) = (Vec::new(), Vec::new());
                for &mutant in mutants {
                    if self.all[mutant].replacement == "true" { &mut always } else { &mut never }.push(mutant);
                }
                self.push("(");
                for mutant in never {
                    self.own(mutant, |writer| writer.push(&format!("!crate::mutated({mutant})")));
                    self.push(" && ");
                }
                self.push("(");
                for mutant in always {
                    self.own(mutant, |writer| writer.push(&format!("crate::mutated({mutant})")));
                    self.push(" || ");
                }
                self.push("(");
                let next = self.write(range.clone(), index + 1);
                self.push(")))");
                next
            }
            Form::Pattern => {
                self.push(" if true");
                for &mutant in mutants {
                    self.push(" && ");
                    self.own(mutant, |writer| writer.push(&format!("!crate::mutated({mutant})")));
                }
                index + 1
            }
            Form::Field { base, shorthand, name } => {
                if let Some(name) = shorthand {
                    self.push(&format!("{name}: "));
                }
                self.push("(");
                for &mutant in mutants {
                    self.push(&format!("if crate::mutated({mutant}) {{ "));
                    let base = &text[base.clone()];
                    self.own(mutant, |writer| writer.push(&format!("({base}).{name}")));
                    self.push(" } else ");
                }
                self.push("{ ");
                let next = self.write(range.clone(), index + 1);
                self.push(" })");
                next
            }
        };
        let whole = begun..self.out.len();
        for place in self.places[known..].iter_mut().filter(|place| mutants.contains(&place.mutant)) {
            place.whole = whole.clone();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{At, Between};

    fn mutant(text: &str, genre: Genre, at: &str, replacement: &str) -> Mutant {
        let start = text.find(at).expect("a part of the text");
        let line = text[..start].matches('\n').count() + 1;
        let column = start - text[..start].rfind('\n').map_or(0, |at| at + 1) + 1;
        let end = At { line, column: column + at.len() };
        Mutant {
            name: String::new(),
            file: "a.rs".into(),
            genre,
            replacement: replacement.to_owned(),
            span: Between { start: At { line, column }, end },
        }
    }

    fn instrumented(text: &str, mutants: &[Mutant]) -> Instrumented {
        let here: Vec<usize> = (0..mutants.len()).collect();
        let done = instrument(text, mutants, &here).expect("sound Rust");
        syn::parse_file(&done.text).unwrap_or_else(|fault| panic!("{fault}: {}", done.text));
        done
    }

    #[test]
    fn an_operator_in_another_is_mutated_once() {
        let text = "fn f(a: bool, b: bool) -> bool { !a && b }";
        let done = instrumented(
            text,
            &[
                mutant(text, Genre::BinaryOperator, "&&", "||"),
                mutant(text, Genre::UnaryOperator, "!", ""),
                mutant(text, Genre::FnValue, "!a && b", "true"),
            ],
        );
        assert_eq!(
            done.text,
            "fn f(a: bool, b: bool) -> bool { if crate::mutated(2) { return true; } \
             (if crate::mutated(0) { !a || b } else { (if crate::mutated(1) { a } else { !a }) && b }) }"
        );
        let own: Vec<&str> = done.places.iter().map(|place| &done.text[place.own.clone()]).collect();
        assert_eq!(own, ["return true;", "!a || b", "a"]);
    }

    #[test]
    fn an_arm_and_its_guard_have_one_switch_each() {
        let text = "fn f(a: u8) -> u8 { match a { 1 if a > 0 => 1, 2 => 2, _ => 3 } }";
        let done = instrumented(
            text,
            &[
                mutant(text, Genre::MatchArm, "1 if a > 0 => 1,", ""),
                mutant(text, Genre::MatchArmGuard, "a > 0", "true"),
                mutant(text, Genre::MatchArmGuard, "a > 0", "false"),
                mutant(text, Genre::MatchArm, "2 => 2,", ""),
            ],
        );
        assert!(done.left.is_empty());
        assert_eq!(
            done.text,
            "fn f(a: u8) -> u8 { match a { 1 if (!crate::mutated(2) && !crate::mutated(0) && \
             (crate::mutated(1) || (a > 0))) => 1, 2 if true && !crate::mutated(3) => 2, _ => 3 } }"
        );
    }

    #[test]
    fn an_arm_that_the_compiler_wants_is_not_deleted() {
        let text = "fn f(a: bool) -> u8 { match a { _ if g() => 1, true => 2, false => 3 } }";
        let done = instrumented(text, &[mutant(text, Genre::MatchArm, "true => 2,", "")]);
        assert_eq!((done.needed.as_slice(), done.text.as_str()), ([0].as_slice(), text));
    }

    #[test]
    fn a_deleted_field_comes_from_the_base_and_a_chain_with_names_is_left() {
        let text = "const fn f(b: bool) -> S { if let Some(c) = d && b { S { b, ..e() } } else { e() } }";
        let done = instrumented(
            text,
            &[mutant(text, Genre::StructField, "b,", ""), mutant(text, Genre::BinaryOperator, "&&", "||")],
        );
        assert_eq!(done.left, [1]);
        assert!(done.text.starts_with(" fn"), "{}", done.text);
        assert!(done.text.contains("S { b: (if crate::mutated(0) { (e()).b } else { b }), ..e() }"), "{}", done.text);
    }
}
