// The page's editor: CodeMirror with what a short Python function needs. tools/vendor_editor.py bundles it.
import {defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory} from "@codemirror/commands";
import {pythonLanguage} from "@codemirror/lang-python";
import {bracketMatching, indentOnInput, indentUnit, syntaxHighlighting} from "@codemirror/language";
import {EditorState} from "@codemirror/state";
import {Decoration, EditorView, keymap, lineNumbers} from "@codemirror/view";
import {tagHighlighter, tags as t} from "@lezer/highlight";

// The class names of Pygments, so that the colours are those of the page's code, by day and by night.
const COLOURS = tagHighlighter([
  {tag: t.keyword, class: "k"}, {tag: t.operatorKeyword, class: "ow"}, {tag: [t.bool, t.null], class: "kc"},
  {tag: t.function(t.definition(t.variableName)), class: "nf"}, {tag: t.definition(t.className), class: "nc"},
  {tag: [t.string, t.special(t.string)], class: "s"}, {tag: t.number, class: "m"}, {tag: t.lineComment, class: "c"},
  {tag: [t.arithmeticOperator, t.bitwiseOperator, t.compareOperator, t.updateOperator, t.definitionOperator,
         t.derefOperator], class: "o"},
]);

// A long line goes on below itself, four columns in, so that indentation can be read on a phone too.
const hanging = EditorView.decorations.compute(["doc"], (state) => {
  const lines = Array.from({length: state.doc.lines}, (_, i) => state.doc.line(i + 1));
  return Decoration.set(lines.map(({text, from}) => {
    const by = Math.min(text.search(/[^ ]|$/) + 4, 16);
    const style = `padding-left: calc(6px + ${by}ch); text-indent: -${by}ch`;
    return Decoration.line({attributes: {style}}).range(from);
  }));
});

// Tab indents, so it can't leave; after Escape it does, until the next change or visit.
const tabLeaves = (leaves) => (view) => { view.setTabFocusMode(leaves); return leaves; };
const leaving = [
  keymap.of([{key: "Escape", run: tabLeaves(true)}]),
  EditorView.domEventHandlers({blur: (_, view) => { tabLeaves(false)(view); }}),
  EditorView.updateListener.of((update) => { if (update.docChanged) tabLeaves(false)(update.view); }),
];

// The syntax tree of a source: the engine reads it before an answer runs (try/translate.js).
window.coursekitParse = (text) => pythonLanguage.parser.parse(text);

// coursekitEditor(parent, {text, label, help, onRun, onChange}): label is read out, help the id of what describes it.
window.coursekitEditor = (parent, {text, label, help, onRun, onChange}) => {
  const run = () => { onRun(); return true; };
  const view = new EditorView({parent, doc: text, extensions: [
    keymap.of([{key: "Mod-Enter", run}, {key: "Ctrl-Enter", run}]),
    leaving, keymap.of([indentWithTab, ...historyKeymap, ...defaultKeymap]),
    EditorState.tabSize.of(4), indentUnit.of("    "), indentOnInput(), history(), lineNumbers(), bracketMatching(),
    pythonLanguage, syntaxHighlighting(COLOURS), EditorView.lineWrapping, hanging,
    EditorView.contentAttributes.of({"aria-label": label, "aria-describedby": help}),
    EditorView.updateListener.of((update) => { if (update.docChanged) onChange(); }),
  ]});
  return {
    text: () => view.state.doc.toString(),
    replace: (to) => view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: to},
      annotations: isolateHistory.of("full")}), // a step of its own, so that undo brings back what was there
    focus: () => view.focus(),
  };
};
